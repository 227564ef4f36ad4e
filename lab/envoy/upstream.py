"""How a proxy speaks to what a cluster leads to: which endpoints, with TLS or without, which HTTP.

A cluster that is told its endpoints chooses a transport socket by each endpoint's metadata. One
that uses the original destination has no metadata to choose by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lab.envoy.dump import Proxy, address_of
from lab.envoy.first_bytes import Spoken
from lab.envoy.matching import Unreadable

Part = Mapping[str, Any]
WORKLOAD, AUTHORITY = "default", "ROOTCA"
"""Istio's names of the secrets with the workload's certificate and the mesh's authority."""
MATCHED_BY = "envoy.transport_socket_match"
"""The metadata that endpoints are matched by."""
_USABLE = ("HEALTHY", "UNKNOWN", "DEGRADED", "")
Http = Literal["http/1.1", "h2", "as downstream", "by ALPN"]


@dataclass(frozen=True, slots=True)
class Tls:
    """A TLS context of a client."""

    server_name: str
    alpn: tuple[str, ...]
    certificates: tuple[str, ...]
    """Names of the secrets that hold the certificates it can show."""
    names: tuple[str, ...]
    """Subject alternative names of which the server must have one; empty: any, or by a pattern."""
    verifies: bool
    """Whether the server's certificate must lead to a known authority."""
    authority: str = ""
    """Name of the secret with the certificates that it trusts."""

    @property
    def trusts_mesh(self) -> bool:
        """Return whether that authority is the mesh's."""
        return self.authority == AUTHORITY

    @property
    def is_workloads(self) -> bool:
        """Return whether it shows the certificate that istiod gave the workload."""
        return WORKLOAD in self.certificates


@dataclass(frozen=True, slots=True)
class Upstream:
    """One way in which a call can go on."""

    cluster: str
    address: tuple[str, int]
    """Of the endpoint."""
    tls: Tls | None
    http: Http


def ways(proxy: Proxy, name: str, original: tuple[str, int]) -> list[Upstream]:
    """Return each way in which a cluster can carry a call; empty: it has no usable endpoint.

    original: address and port that the application asked for.
    Raises Unreadable for a cluster that is not there, or is of a kind that is not modelled.
    """
    cluster = proxy.clusters.get(name)
    if cluster is None:
        raise Unreadable(f"there is no cluster {name!r}")
    if unread := [key for key in ("transport_socket_matcher", "cluster_type") if key in cluster]:
        raise Unreadable(f"cluster {name!r} has {unread[0]}")
    http = _http(cluster)
    if cluster.get("type") == "ORIGINAL_DST":
        return [Upstream(name, original, _tls(cluster.get("transport_socket")), http)]
    return [
        Upstream(name, address, _tls(_socket(cluster, metadata)), http)
        for address, metadata in _endpoints(proxy, cluster)
    ]


def _endpoints(proxy: Proxy, cluster: Part) -> list[tuple[tuple[str, int], Part]]:
    """Return the usable endpoints of the most important priority that has any."""
    asked = (cluster.get("eds_cluster_config") or {}).get("service_name") or cluster["name"]
    assignment = cluster.get("load_assignment") or proxy.endpoints.get(asked) or {}
    groups = sorted(assignment.get("endpoints") or (), key=lambda one: one.get("priority", 0))
    by_priority: dict[int, list[tuple[tuple[str, int], Part]]] = {}
    for group in groups:
        found = by_priority.setdefault(group.get("priority", 0), [])
        for one in group.get("lb_endpoints") or ():
            if str(one.get("health_status", "")) in _USABLE:
                address = address_of(one["endpoint"]["address"])
                metadata = (one.get("metadata") or {}).get("filter_metadata") or {}
                found.append((address, metadata.get(MATCHED_BY) or {}))
    return next((found for _, found in sorted(by_priority.items()) if found), [])


def _socket(cluster: Part, metadata: Part) -> Part | None:
    for one in cluster.get("transport_socket_matches") or ():
        wanted = one.get("match") or {}
        if all(metadata.get(key) == value for key, value in wanted.items()):
            found: Part = one["transport_socket"]
            return found
    return cluster.get("transport_socket")


def tls_context(socket: Part | None, wanted: str) -> Part | None:
    """Return the TLS context of a transport socket; None: it is plaintext.

    Raises Unreadable for any other kind of socket.
    """
    config: Part = (socket or {}).get("typed_config") or {}
    kind = str(config.get("@type", "")).rpartition(".")[2]
    if socket is None or kind == "RawBuffer":
        return None
    if kind != wanted:
        raise Unreadable(f"a transport socket of type {kind or socket.get('name')} is not modelled")
    return config


def _tls(socket: Part | None) -> Tls | None:
    config = tls_context(socket, "UpstreamTlsContext")
    if config is None:
        return None
    common = config.get("common_tls_context") or {}
    combined = common.get("combined_validation_context") or {}
    default = combined.get("default_validation_context") or common.get("validation_context") or {}
    authority = authority_of(common)
    named = default.get("match_typed_subject_alt_names") or ()
    plain = default.get("match_subject_alt_names") or ()
    matchers = [*(one["matcher"] for one in named), *plain]
    exact = tuple(str(one["exact"]) for one in matchers if "exact" in one)
    return Tls(
        config.get("sni", ""),
        tuple(common.get("alpn_protocols") or ()),
        certificates_of(common),
        exact if len(exact) == len(matchers) else (),
        bool(authority or default.get("trusted_ca")),
        authority,
    )


def certificates_of(common: Part) -> tuple[str, ...]:
    """Return the names of the secrets whose certificates a TLS context shows."""
    return tuple(one["name"] for one in common.get("tls_certificate_sds_secret_configs") or ())


def authority_of(common: Part) -> str:
    """Return the name of the secret with the authorities that a TLS context trusts."""
    combined = common.get("combined_validation_context") or {}
    secret = combined.get("validation_context_sds_secret_config") or common.get(
        "validation_context_sds_secret_config"
    )
    return str((secret or {}).get("name", ""))


def _http(cluster: Part) -> Http:
    for options in (cluster.get("typed_extension_protocol_options") or {}).values():
        if "use_downstream_protocol_config" in options:
            return "as downstream"
        if "auto_config" in options:
            return "by ALPN"
        if "http2_protocol_options" in (options.get("explicit_http_config") or {}):
            return "h2"
    return "http/1.1"


def spoken(end: Upstream, asked: Spoken) -> Spoken:
    """Return the HTTP version in which a proxy sends a request on. Raises Unreadable."""
    if end.http == "as downstream":
        return asked
    if end.http == "by ALPN":
        raise Unreadable(f"cluster {end.cluster} speaks what the server's ALPN chooses")
    return end.http
