"""What a caller's proxy knows of the mesh's Services: their addresses, and their endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.envoy import addresses as ip
from lab.envoy import upstream
from lab.envoy.dump import Proxy, refusing_other_shapes
from lab.envoy.matching import Unreadable
from lab.envoy.mesh import Address

Part = Mapping[str, Any]


@refusing_other_shapes()
def hosts(proxy: Proxy) -> dict[tuple[str, int], list[str]]:
    """Return each host and port that istiod told of, with its addresses; empty: it has none.

    Raises BadEvidence for a configuration that is not such as Envoy's.
    """
    found: dict[tuple[str, int], list[str]] = {}
    for name in proxy.clusters:
        parts = name.split("|")
        if parts[0] == "outbound" and len(parts) == 4 and not parts[2] and parts[1].isdecimal():
            found[parts[3], int(parts[1])] = []
    for host, number, address in (*_routed(proxy), *_listening(proxy)):
        known = found.get((host, number))
        if known is not None and address not in known:
            known.append(address)
    return found


def _routed(proxy: Proxy) -> Iterator[tuple[str, int, str]]:
    """Yield what virtual hosts name beside a host: its ClusterIP."""
    for config in proxy.routes.values():
        for one in config.get("virtual_hosts") or ():
            host, _, port = str(one.get("name", "")).rpartition(":")
            if port.isdecimal():
                yield from ((host, int(port), name) for name in one["domains"] if ip.is_one(name))


def _listening(proxy: Proxy) -> Iterator[tuple[str, int, str]]:
    """Yield the addresses of listeners that lead to one host's cluster."""
    for (address, port), listener in proxy.listeners.items():
        if address == "0.0.0.0" or not ip.is_one(address):
            continue
        default = listener.get("default_filter_chain") or {}
        for chain in (*(listener.get("filter_chains") or ()), default):
            for one in chain.get("filters") or ():
                cluster = str((one.get("typed_config") or {}).get("cluster", ""))
                yield cluster.rpartition("|")[2], port, address


@refusing_other_shapes()
def endpoints(proxy: Proxy) -> dict[Address, list[Address]]:
    """Return what kube-proxy makes of each address, as far as a proxy's endpoints tell.

    Raises BadEvidence for a configuration that is not such as Envoy's.
    """
    found: dict[Address, list[Address]] = {}
    for (host, port), addresses in hosts(proxy).items():
        for address in addresses:
            try:
                ways = upstream.ways(proxy, f"outbound|{port}||{host}", (address, port))
            except Unreadable:
                continue
            ends = [one.address for one in ways]
            if ends != [(address, port)]:
                found[address, port] = ends
    return found


def named(proxy: Proxy, typed: str, port: int, namespace: str) -> tuple[str, list[str]]:
    """Return the host that a name means to a caller in a namespace, and its addresses.

    An empty host: no host of that name and port is in the proxy's configuration.
    """
    known = hosts(proxy)
    for host in (typed, f"{typed}.{namespace}.svc.cluster.local", f"{typed}.svc.cluster.local",
                 f"{typed}.cluster.local"):  # fmt: skip
        if (host, port) in known:
            return host, known[host, port]
    return "", []
