"""What the caller's proxy does with a call: where it sends it, and how it speaks there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lab.envoy import chains, first_bytes, listener, requests, upstream
from lab.envoy.chains import Closes, HandsOn, Weighted
from lab.envoy.matching import Unreadable
from lab.envoy.mesh import Workload, address_text
from lab.envoy.rbac import Peer
from lab.envoy.requests import Awaits, Responds
from lab.envoy.routes import Request
from lab.envoy.upstream import Tls, Upstream
from lab.envoy.way import CLIENT, Flow, Way, Wire, chain_told, responded, stopped


def ways(caller: Workload, flow: Flow) -> Iterator[Way]:
    """Yield how the caller's proxy sends a call on, or ends it: then `by` says so."""
    proxy = caller.proxy
    assert proxy is not None
    found = listener.find(proxy, *flow.to)
    if found is None:
        raise Unreadable(f"{caller.name}'s proxy has no listener for intercepted connections")
    taken = listener.take(found, *flow.to, flow.sent)
    way = Way().then(CLIENT, chain_told(taken), taken.place)
    ended = stopped(way, taken, CLIENT)
    if ended:
        yield ended
        return
    assert taken.chain is not None
    peer = Peer(caller.address, flow.to[1], "", flow.sent.server_name, flow.request)
    does = chains.action(taken.chain, peer)
    if isinstance(does, Closes):
        yield way.ends("refused", CLIENT, does.detail)
    elif isinstance(does, HandsOn):
        yield from _sent_on(caller, flow, way, does.clusters)
    else:
        answer = requests.handle(proxy, does.manager, flow.sent, peer)
        if isinstance(answer, Responds | Awaits):
            yield responded(way, answer, CLIENT)
            return
        where = f"virtual host {answer.virtual_host}, route {answer.route or 'without a name'}"
        way = way.then(CLIENT, f"Host {flow.request.host if flow.request else ''}", where)
        yield from _sent_on(caller, flow, way, answer.clusters, does.manager, answer.request)


def _sent_on(
    caller: Workload,
    flow: Flow,
    way: Way,
    clusters: tuple[Weighted, ...],
    manager: Any = None,
    request: Request | None = None,
) -> Iterator[Way]:
    """Yield a way for each cluster and each kind of endpoint in it."""
    assert caller.proxy is not None
    for one in clusters:
        found = upstream.ways(caller.proxy, one.cluster, flow.to)
        chosen = replace(way, share=way.share * one.share)
        if not found:
            flag, status = "UH", 503 if manager else 0
            yield chosen.then(CLIENT, "no endpoint can be used", f"cluster {one.cluster}").ends(
                "refused", CLIENT, "no_healthy_upstream", flag=flag, status=status
            )
        for end in found:
            yield _departed(caller, flow, chosen, end, len(found), manager, request)


def _departed(
    caller: Workload,
    flow: Flow,
    way: Way,
    end: Upstream,
    among: int,
    manager: Any,
    request: Request | None,
) -> Way:
    sent, tls, version = flow.sent, end.tls, ""
    if manager is not None and request is not None:
        asked = first_bytes.asked(flow.sent)
        spoken = upstream.spoken(end, asked)
        version = "in HTTP/2" if spoken == "h2" and asked != "h2" else ""
        sent = first_bytes.of_request(spoken, request.method, request.path)
        if tls and caller.proxy:
            cluster = caller.proxy.clusters[end.cluster]
            own = requests.offered(manager, cluster, spoken, asked)
            tls = replace(tls, alpn=own or tls.alpn)
    shown = caller.identity if tls and tls.is_workloads else ""
    wire = Wire(end.address, sent, tls, shown, request or flow.request)
    on = replace(way, share=way.share / among, wire=wire)
    how = _how(tls) if tls or not version else "without TLS"
    what = ", ".join(filter(None, (f"to {address_text(end.address)}", version, how)))
    return on.then(CLIENT, what, f"cluster {end.cluster}")


def _how(tls: Tls | None) -> str:
    if tls is None:
        return "as it is"
    shown = "the workload's" if tls.is_workloads else " and ".join(tls.certificates) or "no"
    name, protocols = tls.server_name or "none", ", ".join(tls.alpn) or "none"
    return f"by TLS with {shown} certificate, SNI {name}, ALPN {protocols}"
