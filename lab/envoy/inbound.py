"""What the server's proxy does with a connection that comes to its pod."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lab.envoy import chains, first_bytes, handshake, listener, requests, upstream
from lab.envoy.chains import Closes, HandsOn
from lab.envoy.first_bytes import FirstBytes
from lab.envoy.handshake import hello
from lab.envoy.matching import Unreadable
from lab.envoy.mesh import Mesh, Workload, address_text
from lab.envoy.rbac import Peer
from lab.envoy.requests import Awaits, Responds
from lab.envoy.routes import Request
from lab.envoy.upstream import Upstream
from lab.envoy.way import SERVER, Way, Wire, arriving, chain_told, responded, sending, stopped

Part = Mapping[str, Any]
PORT = 15006
"""Where intercepted connections from elsewhere come to."""
NAME = "virtualInbound"
"""Of the listener there."""


def ways(mesh: Mesh, caller: Workload, pod: Workload, way: Way) -> Iterator[Way]:
    """Yield what becomes of what crosses the network.

    Raises Unreadable where that hangs on something that is not modelled.
    """
    wire, proxy = way.wire, pod.proxy
    assert wire is not None
    assert proxy is not None
    found = listener.at(proxy, PORT)
    if found is None:
        raise Unreadable(f"{pod.name}'s proxy has no listener on {PORT}")
    taken = listener.take(found, *wire.to, hello(wire))
    way = way.then(SERVER, "chain", chain_told(taken), taken.place)
    ended = stopped(way, taken, SERVER)
    if ended:
        yield ended
        return
    assert taken.chain is not None
    context = upstream.tls_context(taken.chain.get("transport_socket"), "DownstreamTlsContext")
    if context is not None:
        by, refused, inside = handshake.end(
            mesh, context, wire, pod, client=sending(caller), server=SERVER
        )
        if refused:
            yield way.ends("refused", by, refused)
            return
        way = way.then(SERVER, "decrypts", "it decrypts the connection")
        agreed = handshake.agreed(context, wire)
        yield from _served(caller, pod, way, taken.chain, inside, agreed)
    else:
        # Nobody here asks for the certificate that the caller's proxy would show.
        way = way._replace(wire=wire._replace(identity=""))
        yield from _served(caller, pod, way, taken.chain, wire._replace(identity=""), "")


def _served(
    caller: Workload, pod: Workload, way: Way, chain: Part, inside: Wire, agreed: str
) -> Iterator[Way]:
    """Yield what the chain's filters do with what is inside; agreed: what its ALPN ended in."""
    assert pod.proxy is not None
    wire = way.wire
    assert wire is not None
    seen = inside.tls is None and not inside.sent.tls
    request = inside.request if seen else None
    peer = Peer(caller.address, wire.to[1], inside.identity, hello(wire).server_name, request)
    silent = inside.tls is None and not inside.sent.data
    does = chains.action(chain, replace(peer, request=None), silent=silent)
    if isinstance(does, Closes):
        yield way.ends("refused", SERVER, does.detail)
        return
    if isinstance(does, HandsOn):
        for end in upstream.ways(pod.proxy, does.clusters[0].cluster, wire.to):
            yield _given(pod, way, end, inside)
        return
    sent = hello(inside) if inside.tls else inside.sent
    if _asks_for_connect(does.manager, sent, request):
        asked = "the upgrade comes as CONNECT in HTTP/2 (RFC 8441), which is not allowed here"
        allows = "http_connection_manager, http2_protocol_options.allow_connect"
        way = way.then(SERVER, "refuses", asked, allows)
        yield way.ends("refused", SERVER, "http2.invalid.header.field", flag="DPE")
        return
    answer = requests.handle(pod.proxy, does.manager, sent, peer, agreed)
    if isinstance(answer, Responds) and inside.tls:
        # Its answer is no handshake's: the caller's proxy breaks off.
        why = f"WRONG_VERSION_NUMBER: the {SERVER} answers the handshake with {answer.status}"
        yield way.ends("refused", sending(caller), why, flag="UF")
        return
    if isinstance(answer, Responds | Awaits | Closes):
        yield responded(way, answer, SERVER)
        return
    cluster = answer.clusters[0].cluster
    for end in upstream.ways(pod.proxy, cluster, wire.to):
        spoken = upstream.spoken(end, first_bytes.asked(sent))
        sent_on = first_bytes.of_request(spoken, answer.request.method, answer.request.path)
        yield _given(pod, way, end, inside._replace(sent=sent_on))


def _asks_for_connect(manager: Part, sent: FirstBytes, request: Request | None) -> bool:
    """Return whether a manager is asked for an upgrade in HTTP/2, and does not allow it.

    The caller's proxy turns `Upgrade` into an extended CONNECT (RFC 8441).
    """
    allowed = (manager.get("http2_protocol_options") or {}).get("allow_connect")
    asks = request is not None and request.upgrade not in ("", "h2c")
    return asks and first_bytes.asked(sent) == "h2" and not allowed


def _given(pod: Workload, way: Way, end: Upstream, inside: Wire) -> Way:
    """Return the end of a way at the application."""
    if end.tls:
        raise Unreadable(f"cluster {end.cluster} speaks TLS to the application")
    to = f"to the application at {address_text(end.address)}"
    on = way.then(SERVER, "cluster", to, f"cluster {end.cluster}")
    return on.ends("arrives", pod.name, arriving(inside))
