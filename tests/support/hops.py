"""What one proxy decides about one call: by the model, in the words of Istio's simulation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from simulation import Call, Said

from lab.envoy import first_bytes
from lab.envoy.dump import Proxy
from lab.envoy.first_bytes import FirstBytes
from lab.envoy.mesh import Mesh, Workload
from lab.envoy.way import CLIENT, SERVER, Flow, Way, Wire

ENDS = {
    "filter_chain_not_found": "no filter chains matched",
    "the connection is not TLS": "invalid TLS",
    "tls_client_certificate_required": "invalid mTLS",
    "http1.codec_error": "protocol error",
    "https_redirect": "tls required, sending 301",
    "route_not_found": "no virtual host matched",
}
"""Details by which the model ends a call, and the simulation's error for the same."""
_LISTENER = re.compile(r"listener (.*?)(?:, filter_chains\[(\d+)\]|, (default_filter_chain))?$")
_ROUTE = re.compile(r"virtual host (.*), route (.*)")
_CLUSTER = re.compile(r"cluster (.*)")
_HTTP: dict[str, Literal["http", "http2"]] = {
    "http/1.0": "http",
    "http/1.1": "http",
    "h2c": "http2",
}


@dataclass(frozen=True)
class Hop:
    """One call at one proxy."""

    call: Call
    """As the simulation is asked."""
    ours: Said
    """As the model says it. An end that the simulation has no error for is in the model's words."""
    sent: FirstBytes
    """What the application sends, or the caller's proxy in its place."""


def hops(mesh: Mesh, cell: str, caller: Workload, flow: Flow, way: Way) -> Iterator[Hop]:
    """Yield what the caller's proxy decides, then the server's; of each, if it gets there."""
    told = {step.where for step in way.steps}
    if CLIENT in told and caller.proxy:
        call = _sent(f"{cell} out", _name(caller), flow)
        yield Hop(call, _decided(caller.proxy, way, CLIENT), flow.sent)
    if SERVER in told and way.wire:
        server = mesh.workloads[way.wire.to[0]]
        assert server.proxy
        call = _arriving(f"{cell} in", _name(server), way.wire)
        yield Hop(call, _decided(server.proxy, way, SERVER), way.wire.sent)


def _name(pod: Workload) -> str:
    return pod.name.replace("/", ".")


def _sent(id_: str, proxy: str, flow: Flow) -> Call:
    host = flow.request.host if flow.request else ""
    call = Call(id_, proxy, "outbound", *flow.to, _protocol(flow.sent), host=host)
    return _of_application(call, flow.sent)


def _arriving(id_: str, proxy: str, wire: Wire) -> Call:
    host = wire.request.host if wire.request else ""
    call = Call(id_, proxy, "inbound", *wire.to, _protocol(wire.sent), host=host)
    if wire.tls is None:
        return _of_application(call, wire.sent)
    mode: Literal["mtls", "tls"] = "mtls" if wire.identity else "tls"
    return replace(call, tls=mode, alpn=_first(wire.tls.alpn), sni=wire.tls.server_name)


def _protocol(sent: FirstBytes) -> Literal["http", "http2", "tcp"]:
    return "tcp" if sent.tls else _HTTP.get(first_bytes.http(sent.data), "tcp")


def _of_application(call: Call, sent: FirstBytes) -> Call:
    """Return a call with the TLS of the application's own, if it has one."""
    if not sent.tls:
        return call
    return replace(call, tls="tls", alpn=_first(sent.alpn), sni=sent.server_name)


def _first(names: tuple[str, ...]) -> str:
    return names[0] if names else ""


def _decided(proxy: Proxy, way: Way, where: str) -> Said:
    """Return a proxy's part of a way."""
    found = Said(_error(way, where), "", "", -1, "", "", "")
    for step in way.steps:
        if step.where != where:
            continue
        if match := _LISTENER.fullmatch(step.source):
            name, number, default = match.groups()
            found = replace(found, listener=name, index=int(number or -1))
            found = replace(found, chain=_chain(proxy, name, number, default))
        elif match := _ROUTE.fullmatch(step.source):
            found = replace(found, virtual_host=match[1], route=match[2])
        elif match := _CLUSTER.fullmatch(step.source):
            found = replace(found, cluster=match[1])
    return found


def _chain(proxy: Proxy, listener: str, number: str | None, default: str | None) -> str:
    own = next(one for one in proxy.listeners.values() if one.get("name") == listener)
    if number is not None:
        return str(own["filter_chains"][int(number)].get("name", ""))
    return str(own["default_filter_chain"].get("name", "")) if default else ""


def _error(way: Way, where: str) -> str:
    """Return what ended the call at a proxy.

    A caller's proxy that breaks off a handshake ends it at the server's.
    """
    at_server = any(step.where == SERVER for step in way.steps)
    ended_here = way.by == where or (way.by == CLIENT and at_server and where == SERVER)
    if not ended_here or (way.by == CLIENT and at_server and where == CLIENT):
        return ""
    status = f" {way.status}" if way.status else ""
    return ENDS.get(way.detail, f"{way.outcome}{status}: {way.detail}")
