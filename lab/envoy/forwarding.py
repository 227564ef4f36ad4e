"""How a proxy sends on what one of its filter chains has taken: where, and how it speaks there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lab.envoy import chains, first_bytes, requests, upstream
from lab.envoy.chains import Closes, HandsOn, Weighted
from lab.envoy.matching import Chain
from lab.envoy.mesh import Workload, address_text
from lab.envoy.rbac import Peer
from lab.envoy.requests import Awaits, Responds
from lab.envoy.routes import Request
from lab.envoy.upstream import Tls, Upstream
from lab.envoy.way import Flow, Way, Wire, responded, sending

Part = Mapping[str, Any]


def ways(
    sender: Workload, flow: Flow, way: Way, chain: Chain, peer: Peer, agreed: str = ""
) -> Iterator[Way]:
    """Yield how a proxy sends on what a chain has taken, or ends it: then `by` says so.

    flow: what it took, after TLS that ends at it. peer: who it took it from. agreed: what that
    TLS's ALPN ended in.
    """
    assert sender.proxy is not None
    who = sending(sender)
    does = chains.action(chain, peer, silent=not flow.sent.data)
    if isinstance(does, Closes):
        yield way.ends("refused", who, does.detail)
    elif isinstance(does, HandsOn):
        yield from _sent_on(sender, flow, way, does.clusters)
    else:
        answer = requests.handle(sender.proxy, does.manager, flow.sent, peer, agreed)
        if isinstance(answer, Responds | Awaits | Closes):
            yield responded(way, answer, who)
            return
        where = f"virtual host {answer.virtual_host}, route {answer.route or 'without a name'}"
        way = way.then(who, "route", f"Host {flow.request.host if flow.request else ''}", where)
        yield from _sent_on(sender, flow, way, answer.clusters, does.manager, answer.request)


def _sent_on(
    sender: Workload,
    flow: Flow,
    way: Way,
    clusters: tuple[Weighted, ...],
    manager: Part | None = None,
    request: Request | None = None,
) -> Iterator[Way]:
    """Yield a way for each cluster and each kind of endpoint in it."""
    assert sender.proxy is not None
    who = sending(sender)
    for one in clusters:
        found = upstream.ways(sender.proxy, one.cluster, flow.to)
        chosen = way._replace(share=way.share * one.share)
        if not found:
            flag, status = "UH", 503 if manager else 0
            yield chosen.then(
                who, "cluster", "no endpoint can be used", f"cluster {one.cluster}"
            ).ends("refused", who, "no_healthy_upstream", flag=flag, status=status)
        for end in found:
            yield _departed(sender, flow, chosen, end, len(found), manager, request)


def _departed(
    sender: Workload,
    flow: Flow,
    way: Way,
    end: Upstream,
    among: int,
    manager: Part | None,
    request: Request | None,
) -> Way:
    sent, tls, version = flow.sent, end.tls, ""
    if manager is not None and request is not None:
        asked = first_bytes.asked(flow.sent)
        spoken = upstream.spoken(end, asked)
        version = "in HTTP/2" if spoken == "h2" and asked != "h2" else ""
        sent = first_bytes.of_request(spoken, request.method, request.path)
        if tls and sender.proxy:
            cluster = sender.proxy.clusters[end.cluster]
            own = requests.offered(manager, cluster, spoken, asked)
            tls = replace(tls, alpn=own or tls.alpn)
    shown = sender.identity if tls and tls.is_workloads else ""
    wire = Wire(end.address, sent, tls, shown, request or flow.request)
    on = way._replace(share=way.share / among, wire=wire)
    how = _how(tls) if tls or not version else "without TLS"
    what = ", ".join(filter(None, (f"to {address_text(end.address)}", version, how)))
    return on.then(sending(sender), "cluster", what, f"cluster {end.cluster}")


def _how(tls: Tls | None) -> str:
    if tls is None:
        return "as it is"
    shown = "the workload's" if tls.is_workloads else " and ".join(tls.certificates) or "no"
    name, protocols = tls.server_name or "none", ", ".join(tls.alpn) or "none"
    return f"by TLS with {shown} certificate, SNI {name}, ALPN {protocols}"
