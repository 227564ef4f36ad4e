"""What a gateway does with a connection to one of its ports.

Nothing is intercepted: a listener binds the port itself, and takes connections by the SNI of the
servers on it. One that ends TLS has an inspector with Envoy's default timeout of 15 s, after which
it closes, where a sidecar waits (Istio's pilot/pkg/networking/core/listener.go,
buildGatewayListener).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lab.envoy import chains, forwarding, handshake, listener, upstream
from lab.envoy.chains import HandsOn
from lab.envoy.first_bytes import FirstBytes
from lab.envoy.handshake import hello
from lab.envoy.matching import Chain, Unreadable
from lab.envoy.mesh import Mesh, Workload, address_text
from lab.envoy.rbac import Peer
from lab.envoy.way import CLIENT, GATEWAY, Flow, Way, Wire, chain_told, sending, stopped

Part = Mapping[str, Any]
_READ = {"tls_inspector", "http_inspector"}
"""Listener filters that are modelled, by the end of their names."""
_BY_SNI = "outbound_."
"""How the names of clusters begin to which AUTO_PASSTHROUGH hands on, by SNI alone."""


def ways(mesh: Mesh, caller: Workload, pod: Workload, way: Way) -> Iterator[Way]:
    """Yield how a gateway sends on what comes to it, or ends it: then `by` says so.

    Raises Unreadable where that hangs on something that is not modelled.
    """
    wire, proxy = way.wire, pod.proxy
    assert wire is not None
    assert proxy is not None
    found = listener.at(proxy, wire.to[1], wire.to[0])
    if found is None:
        why = f"nothing listens at {address_text(wire.to)}"
        yield way._replace(wire=None).ends("refused", GATEWAY, why)
        return
    _refuse_unread(found)
    taken = listener.take(found, *wire.to, hello(wire))
    here = way._replace(wire=None, earlier=(*way.earlier, wire))
    here = here.then(GATEWAY, "chain", chain_told(taken), taken.place)
    if ended := stopped(here, taken, GATEWAY):
        yield ended
        return
    assert taken.chain is not None
    context = upstream.tls_context(taken.chain.get("transport_socket"), "DownstreamTlsContext")
    if context is None:
        # Nobody asks for the certificate that the caller's proxy would show.
        shown = wire._replace(identity="")
        yield from _plain(caller, pod, _crossed(here, shown), taken.chain, shown)
        return
    by, refused, inside = handshake.end(
        mesh, context, wire, pod, client=sending(caller), server=GATEWAY
    )
    if refused:
        yield from _broken_off(caller, pod, here, taken.chain, (by, refused))
        return
    here = here.then(GATEWAY, "decrypts", "it decrypts the connection")
    secured = inside.request and replace(inside.request, secure=True)
    inside = inside._replace(request=secured)
    agreed = handshake.agreed(context, wire)
    yield from _taken(caller, pod, here, taken.chain, inside, agreed)


def _broken_off(
    caller: Workload, pod: Workload, way: Way, chain: Chain, told: tuple[str, str]
) -> Iterator[Way]:
    """Yield the ends of a handshake that fails: by whom, and why.

    A chain that hands bytes on opens its connection to the server along with the client's, so that
    may have begun by then (Envoy's tcp_proxy.cc, onNewConnection).
    """
    to = way.earlier[-1].to
    peer = Peer(caller.address, to[1])
    if not isinstance(chains.action(chain, peer), HandsOn):
        yield way.ends("refused", *told)
        return
    half = way._replace(share=way.share / 2)
    yield half.ends("refused", *told)
    for one in forwarding.ways(pod, Flow(to, FirstBytes()), half, chain, peer):
        yield one.ends("refused", *told)


def _crossed(way: Way, wire: Wire) -> Way:
    """Return a way whose last leg to a gateway is this."""
    return way._replace(earlier=(*way.earlier[:-1], wire))


def _refuse_unread(found: Part) -> None:
    """Raise Unreadable for a listener with a filter that is not modelled."""
    for one in found.get("listener_filters") or ():
        if str(one["name"]).rpartition(".")[2] not in _READ:
            raise Unreadable(f"listener filter {one['name']} of a gateway is not modelled")


def _plain(caller: Workload, pod: Workload, way: Way, chain: Chain, wire: Wire) -> Iterator[Way]:
    """Yield what a chain without TLS does, to which a caller's proxy may speak TLS all the same."""
    if wire.tls is None:
        yield from _taken(caller, pod, way, chain, wire)
        return
    if isinstance(chains.action(chain, Peer(caller.address, wire.to[1])), HandsOn):
        raise Unreadable("TLS of the caller's proxy, which a gateway hands on as it is")
    # What answers in HTTP answers no handshake.
    why = "WRONG_VERSION_NUMBER: the gateway reads requests, and no TLS"
    yield way.ends("refused", sending(caller) if caller.proxy else CLIENT, why, flag="UF")


def _taken(
    caller: Workload, pod: Workload, way: Way, chain: Chain, inside: Wire, agreed: str = ""
) -> Iterator[Way]:
    """Yield what the chain's filters do with what is inside; agreed: what its ALPN ended in."""
    flow = Flow(inside.to, inside.sent, inside.request)
    request = None if inside.sent.tls else inside.request
    peer = Peer(caller.address, inside.to[1], inside.identity, inside.sent.server_name, request)
    for one in forwarding.ways(pod, flow, way, chain, peer, agreed):
        if any(step.cluster.startswith(_BY_SNI) for step in one.steps[-1:]):
            raise Unreadable("a gateway's mode AUTO_PASSTHROUGH is not modelled")
        yield one
