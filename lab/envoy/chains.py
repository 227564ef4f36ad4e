"""What a filter chain does with what it takes: it hands bytes on, or reads requests, or refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.envoy import dump, rbac
from lab.envoy.matching import Chain, Unreadable
from lab.envoy.rbac import Peer

Part = Mapping[str, Any]
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_LETS_THROUGH = frozenset(
    (
        "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
        "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy",
        "envoy.extensions.filters.network.mysql_proxy.v3.MySQLProxy",
        "envoy.extensions.filters.network.set_filter_state.v3.Config",
        "envoy.tcp.metadataexchange.config.MetadataExchange",
        "io.istio.network.peer_metadata.Config",
        "stats.PluginConfig",
    )
)
"""Types of network filters that let everything through as it is; those of MongoDB and MySQL read
along, and stop reading at what they do not know. Redis' proxy ends connections."""


@dataclass(frozen=True)
class Weighted:
    """A cluster, and its share of what is sent."""

    cluster: str
    share: float


@dataclass(frozen=True)
class HandsOn:
    """The chain carries bytes to a cluster."""

    clusters: tuple[Weighted, ...]


@dataclass(frozen=True)
class Reads:
    """The chain reads HTTP requests."""

    manager: Part


@dataclass(frozen=True)
class Closes:
    """The chain closes the connection."""

    detail: str
    """What the access log's connection termination details say."""


def action(chain: Chain, peer: Peer, *, silent: bool = False) -> HandsOn | Reads | Closes:
    """Return what a chain does with a connection; silent: before its client has sent any bytes.

    RBAC refuses at the client's first bytes. What speaks first is called before, and is heard:
    https://github.com/envoyproxy/envoy/issues/9023. Raises Unreadable for a filter that is not
    modelled.
    """
    for one in chain.get("filters") or ():
        config = one.get("typed_config") or {}
        kind = dump.type_of(config)
        if kind == "envoy.extensions.filters.network.rbac.v3.RBAC":
            decides = "rules" in config and not silent
            refused = rbac.refusing_policy(config["rules"], peer) if decides else None
            if refused is not None:
                return Closes(f"rbac_access_denied_matched_policy[{refused}]")
        elif kind == "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy":
            return HandsOn(weighted(config))
        elif kind == MANAGER:
            return Reads(config)
        elif kind not in _LETS_THROUGH:
            raise Unreadable(
                f"filter {one['name']} of chain {chain.get('name', '')!r} is not modelled"
            )
    return Closes("the chain has no filter that carries anything")


def weighted(config: Part) -> tuple[Weighted, ...]:
    """Return the clusters of a TCP proxy or of a route's action, with their shares."""
    if "weighted_clusters" not in config:
        return (Weighted(str(config["cluster"]), 1.0),)
    parts = config["weighted_clusters"]["clusters"]
    total = sum(one.get("weight", 0) for one in parts)
    return tuple(
        Weighted(one["name"], one.get("weight", 0) / total) for one in parts if one.get("weight")
    )
