"""What only a proxy knows: hosts of ServiceEntries, with what they speak."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lab.audit.ports import Destination, Kind
from lab.common.port_protocols import AUTO
from lab.envoy import services, upstream
from lab.envoy.dump import Proxy
from lab.envoy.matching import Unreadable

NOBODY = "192.0.2.53"
"""An address that documentation uses (RFC 5737)."""
OWN_PORTS = frozenset({15001, 15006, 15021, 15090})
"""Of the sidecar itself."""


def others(proxy: Proxy, besides: Collection[Destination]) -> Iterator[Destination]:
    """Yield the hosts and ports of a proxy that are not among these.

    A ServiceEntry's host without an address is asked at one that is nobody's: what carries the call
    is told by the host's name.
    """
    there = {(one.host, one.port) for one in besides}
    for (host, port), addresses in services.hosts(proxy).items():
        if (host, port) not in there:
            kind, spoken = _kind(host), protocol(proxy, host, port)
            named = kind == "ServiceEntry" and spoken != "tcp"
            asked = (*addresses,) or ((NOBODY,) if named else ())
            yield Destination(host, port, spoken, asked, "", ends(proxy, host, port), kind=kind)


def _kind(host: str) -> Kind:
    return "Service" if host.endswith(".svc.cluster.local") else "ServiceEntry"


def any_other(proxy: Proxy) -> Iterator[Destination]:
    """Yield a server that nothing in the mesh names, at each port that a listener takes of all.

    A call of it that ends elsewhere is taken by somebody's ServiceEntry or Service.
    """
    for address, port in proxy.listeners:
        if address == "0.0.0.0" and port not in OWN_PORTS:
            ends = frozenset({NOBODY})
            yield Destination("any other address", port, "tcp", (NOBODY,), "", ends, "other")


def protocol(proxy: Proxy, host: str, port: int) -> str:
    """Return what a proxy takes a host's port for.

    `http` where it has a route, `tls` where a filter chain is chosen by its name, else `tcp`.
    """
    listed = f"{host}:{port}"
    for config in proxy.routes.values():
        if any(one.get("name") == listed for one in config.get("virtual_hosts") or ()):
            return "http"
    if any(host in names for names in _server_names(proxy, port)):
        return "tls"
    return "tcp" if f"outbound|{port}||{host}" in proxy.clusters else AUTO


def _server_names(proxy: Proxy, port: int) -> Iterator[Collection[str]]:
    """Yield the names by which a port's filter chains are chosen: those that clients' TLS names."""
    for (_, number), listener in proxy.listeners.items():
        for chain in listener.get("filter_chains") or () if number == port else ():
            yield (chain.get("filter_chain_match") or {}).get("server_names") or ()


def ends(proxy: Proxy, host: str, port: int) -> frozenset[str]:
    """Return the addresses that a host's cluster leads to, as far as a proxy tells."""
    try:
        found = upstream.ways(proxy, f"outbound|{port}||{host}", ("", port))
    except Unreadable:
        return frozenset()
    return frozenset(one.address[0] for one in found if one.address[0])
