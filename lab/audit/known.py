"""What only a proxy knows: hosts of ServiceEntries, with what they speak."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lab.audit.ports import Destination, Kind
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
    routed, named_in_tls = _routed(proxy), _named_in_tls(proxy)

    def protocol(host: str, port: int) -> str:
        """Return what the proxy takes a host's port for."""
        if f"{host}:{port}" in routed:
            return "http"
        return "tls" if host in named_in_tls.get(port, ()) else "tcp"

    for (host, port), addresses in services.hosts(proxy).items():
        if (host, port) not in there:
            kind, spoken = _kind(host), protocol(host, port)
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


def _routed(proxy: Proxy) -> frozenset[str]:
    """Return the hosts that have a route, with their ports: `web.shop.svc.cluster.local:80`."""
    return frozenset(
        str(one.get("name", ""))
        for config in proxy.routes.values()
        for one in config.get("virtual_hosts") or ()
    )


def _named_in_tls(proxy: Proxy) -> dict[int, set[str]]:
    """Return by port the names by which filter chains are chosen: those that clients' TLS names."""
    found: dict[int, set[str]] = {}
    for (_, port), listener in proxy.listeners.items():
        for chain in listener.get("filter_chains") or ():
            names = (chain.get("filter_chain_match") or {}).get("server_names") or ()
            found.setdefault(port, set()).update(names)
    return found


def ends(proxy: Proxy, host: str, port: int) -> frozenset[str]:
    """Return the addresses that a host's cluster leads to, as far as a proxy tells."""
    try:
        found = upstream.ways(proxy, f"outbound|{port}||{host}", ("", port))
    except Unreadable:
        return frozenset()
    return frozenset(one.address[0] for one in found if one.address[0])
