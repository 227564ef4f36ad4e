"""The configuration: what istiod told the proxies. It is intent, and no witness.

`reduce` keeps of a proxy's config dump what decides how a world's calls are carried, in
Envoy's own field names; that is recorded. `says` reads it for one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lab.common.errors import BadEvidence
from lab.model.sending import First
from lab.planes import Security, Seen

View = dict[str, Any]
SOURCE = "control plane"
INBOUND = "virtualInbound"
PASSTHROUGH = "PassthroughCluster"
_MISSHAPEN = (AttributeError, KeyError, TypeError, ValueError)
"""What comes of a dump whose parts are not of the types that Envoy gives them."""
_MANAGER, _PROXY = "http_connection_manager", "tcp_proxy"


def reduce(
    dump: Mapping[str, Any], namespace: str, ports: Iterable[int], addresses: Iterable[str]
) -> View:
    """Return the part of `config_dump?include_eds` that concerns a namespace's Services.

    ports: Service ports and target ports. addresses: their ClusterIPs; a listener of another
    namespace's Service is none of ours. Only what is active counts: a listener that was
    acknowledged and still warms up is not there. Raises BadEvidence for what is no config dump.
    """
    try:
        return _reduced(dump, namespace, ports, addresses)
    except _MISSHAPEN as wrong:
        raise BadEvidence(f"a config dump is not such as Envoy's: {wrong!r}") from None


def _reduced(
    dump: Mapping[str, Any], namespace: str, ports: Iterable[int], addresses: Iterable[str]
) -> View:
    wanted, suffix = set(ports), f".{namespace}.svc.cluster.local"
    bound = {"0.0.0.0", *addresses}
    listeners = [
        state["listener"]
        for entry in _all(dump, "dynamic_listeners")
        if (state := entry.get("active_state"))
    ]
    clusters = [entry["cluster"] for entry in _all(dump, "dynamic_active_clusters")]
    endpoints = [entry["endpoint_config"] for entry in _all(dump, "dynamic_endpoint_configs")]
    return {
        "listeners": {
            listener["name"]: _chains(listener)
            for listener in sorted(listeners, key=lambda one: str(one["name"]))
            if _bound(listener) in {(address, port) for address in bound for port in wanted}
        },
        "inbound": _inbound(listeners, wanted),
        "clusters": {c["name"]: _cluster(c) for c in clusters if c["name"].endswith(suffix)},
        "endpoints": {
            e["cluster_name"]: _endpoints(e)
            for e in endpoints
            if str(e.get("cluster_name", "")).endswith(suffix)
        },
    }


def _all(dump: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [entry for part in dump.get("configs", []) for entry in part.get(key, [])]


def _bound(listener: Mapping[str, Any]) -> tuple[str, int]:
    address = listener.get("address", {}).get("socket_address", {})
    return str(address.get("address")), int(address.get("port_value", 0))


def _chains(listener: Mapping[str, Any]) -> list[View]:
    chains = [*listener.get("filter_chains", []), listener.get("default_filter_chain")]
    return [_chain(chain) for chain in chains if chain]


def _chain(chain: Mapping[str, Any]) -> View:
    kept: View = {"filter_chain_match": chain.get("filter_chain_match") or {}}
    for filter_ in chain.get("filters", []):
        config = filter_.get("typed_config", {})
        if filter_["name"].endswith(_MANAGER):
            kept["filter"] = _MANAGER
            upgrades = [one.get("upgrade_type") for one in config.get("upgrade_configs", [])]
            kept["upgrade_configs"] = upgrades
            ignored = config.get("http_protocol_options", {}).get("ignore_http_11_upgrade")
            kept |= {"ignore_http_11_upgrade": ignored} if ignored else {}
        elif filter_["name"].endswith(_PROXY):
            kept["filter"] = _PROXY
            kept["cluster"] = config.get("cluster") or config.get("weighted_clusters")
    if "transport_socket" in chain:
        kept["transport_socket"] = _socket(chain["transport_socket"])
    return kept


def _socket(socket: Mapping[str, Any]) -> View:
    """Return what a TLS context demands and shows."""
    config = socket.get("typed_config", {})
    common = config.get("common_tls_context", {})
    shown = [one.get("name") for one in common.get("tls_certificate_sds_secret_configs", [])]
    kept = {
        "require_client_certificate": config.get("require_client_certificate"),
        "tls_certificates": shown or None,
        "alpn_protocols": common.get("alpn_protocols"),
        "sni": config.get("sni"),
        "name": socket.get("name"),
    }
    return {name: value for name, value in kept.items() if value is not None}


def _inbound(listeners: Iterable[Mapping[str, Any]], wanted: set[int]) -> dict[str, list[View]]:
    found: dict[str, list[View]] = {}
    for listener in listeners:
        for chain in listener.get("filter_chains", []) if listener["name"] == INBOUND else []:
            port = chain.get("filter_chain_match", {}).get("destination_port")
            if port in wanted:
                found.setdefault(str(port), []).append(_chain(chain))
    return found


def _cluster(cluster: Mapping[str, Any]) -> View:
    kept: View = {}
    if "transport_socket" in cluster:
        kept["transport_socket"] = _socket(cluster["transport_socket"])
    if "transport_socket_matches" in cluster:
        kept["transport_socket_matches"] = [
            {"match": one.get("match", {}), "transport_socket": _socket(one["transport_socket"])}
            for one in cluster["transport_socket_matches"]
        ]
    options = cluster.get("typed_extension_protocol_options", {})
    for config in options.values():
        explicit = config.get("explicit_http_config") or {}
        kept["upstream_protocol"] = sorted(explicit or config.keys() - {"@type"})
    return kept


def _endpoints(assignment: Mapping[str, Any]) -> list[View]:
    found = []
    for group in assignment.get("endpoints", []):
        for one in group.get("lb_endpoints", []):
            address = one["endpoint"]["address"].get("socket_address", {})
            metadata = one.get("metadata", {}).get("filter_metadata", {})
            match = metadata.get("envoy.transport_socket_match", {})
            found.append(
                {
                    "address": f"{address.get('address')}:{address.get('port_value')}",
                    "health_status": one.get("health_status", ""),
                    "tlsMode": match.get("tlsMode", ""),
                }
            )
    return sorted(found, key=lambda endpoint: str(endpoint["address"]))


@dataclass(frozen=True)
class Route:
    """Which of a proxy's configuration would carry a call."""

    host: str
    port: int
    cluster_ip: str
    target: int
    sends: First
    """What the caller's application writes, which decides the filter chain."""

    @property
    def cluster(self) -> str:
        return f"outbound|{self.port}||{self.host}"


Accepts = Literal["tls", "plaintext", "tls+plaintext", ""]


def accepts(view: View, target: int) -> Accepts:
    """Return what the chains of an inbound port accept; empty: there is no chain for it."""
    chains = _serving(view, target)
    kinds: set[Accepts] = {"tls" if "transport_socket" in one else "plaintext" for one in chains}
    return "tls+plaintext" if len(kinds) > 1 else next(iter(kinds), "")


def speaks(view: View, cluster: str) -> Literal["tls", "plaintext", "auto", ""]:
    """Return how a cluster speaks to its endpoints; empty: there is no such cluster."""
    found = view["clusters"].get(cluster)
    if found is None:
        return ""
    if "transport_socket" in found:
        return "tls"
    return "auto" if "transport_socket_matches" in found else "plaintext"


def says(client: View | None, server: View | None, route: Route) -> Seen:
    """Return how istiod meant a call to be carried. None: that pod has no sidecar.

    What crosses the wire is the client's choice; the server decides what it accepts.
    Raises BadEvidence for a view that is none of `reduce`'s.
    """
    try:
        return _says(client, server, route)
    except _MISSHAPEN as wrong:
        raise BadEvidence(f"a recorded configuration is not such as Envoy's: {wrong!r}") from None


def _says(client: View | None, server: View | None, route: Route) -> Seen:
    carried, how = _client_means(client, route)
    accepted = accepts(server, route.target) if server else "plaintext"
    at_server = f"the server accepts {accepted or 'what no chain of its own names'}"
    facts = {"client": how, "server": accepted, "listener": _listener_name(client, route)}
    if carried == "mutual_tls" and not _demands(server, route.target):
        why = f"{how}; {at_server}: it permits both"
        return Seen("config", SOURCE, "unknown", why, facts)
    return Seen("config", SOURCE, carried, f"{how}; {at_server}", facts)


def _serving(view: View, target: int) -> list[View]:
    """Return the chains that take in a port: a sidecar's inbound ones, or a gateway's listener."""
    found: list[View] = view["inbound"].get(str(target), [])
    return found or view["listeners"].get(f"0.0.0.0_{target}", [])


def _demands(server: View | None, target: int) -> bool:
    """Return whether every TLS chain of the port demands a client certificate."""
    chains = _serving(server, target) if server else []
    sockets = [chain["transport_socket"] for chain in chains if "transport_socket" in chain]
    return bool(sockets) and all(
        socket.get("require_client_certificate") is True for socket in sockets
    )


def _client_means(client: View | None, route: Route) -> tuple[Security, str]:
    as_sent: Security = "tls" if route.sends == "tls" else "plaintext"
    if client is None:
        return as_sent, "the caller has no sidecar"
    name = _listener_name(client, route)
    if not name:
        return as_sent, f"no listener for port {route.port}: {PASSTHROUGH}, as it is sent"
    if route.host == route.cluster_ip and name.startswith("0.0.0.0_"):
        return as_sent, f"{route.host} is no Service's address: {PASSTHROUGH}, as it is sent"
    chain = _chosen(client["listeners"][name], route.sends)
    if chain and chain.get("cluster") == PASSTHROUGH:
        what = "TLS" if route.sends == "tls" else "what is not HTTP"
        return as_sent, f"listener {name} sends {what} to {PASSTHROUGH}, as it is"
    return _cluster_means(client, route)


def _listener_name(client: View | None, route: Route) -> str:
    names = (f"{route.cluster_ip}_{route.port}", f"0.0.0.0_{route.port}")
    listeners = client["listeners"] if client else {}
    return next((name for name in names if name in listeners), "")


def _chosen(chains: list[View], sends: First) -> View | None:
    """Return the chain for what is sent: HTTP goes to the manager, where there is one."""
    managed = [chain for chain in chains if chain.get("filter") == _MANAGER]
    others = [chain for chain in chains if chain.get("filter") == _PROXY]
    first = managed if sends == "http" else others
    return next(iter(first or others or managed), None)


def _cluster_means(client: View, route: Route) -> tuple[Security, str]:
    found = client["clusters"].get(route.cluster)
    if found is None:
        return "unknown", f"there is no cluster {route.cluster}"
    if "transport_socket" in found:
        return _socket_means(found["transport_socket"], f"cluster {route.cluster}")
    if "transport_socket_matches" not in found:
        return "plaintext", f"cluster {route.cluster} has no TLS"
    modes = {one["tlsMode"] for one in client["endpoints"].get(route.cluster, [])}
    if modes == {"istio"}:
        return "mutual_tls", f"auto mTLS: every endpoint of {route.cluster} is labelled tlsMode"
    if "istio" not in modes:
        return "plaintext", f"auto mTLS: no endpoint of {route.cluster} is labelled tlsMode"
    return "unknown", f"auto mTLS: only some endpoints of {route.cluster} are labelled tlsMode"


def _socket_means(socket: View, whose: str) -> tuple[Security, str]:
    shown = socket.get("tls_certificates", [])
    if isinstance(shown, list) and "default" in shown:
        return "mutual_tls", f"{whose} shows the workload's certificate, SNI {socket.get('sni')}"
    return "tls", f"{whose} originates TLS without the workload's certificate"
