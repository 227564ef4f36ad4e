"""What a mesh must not be set to, or a failure's worlds are not what they are said to be.

Judged from recorded settings, as everything is. A setting that a claim is about is no
precondition: what it does to the claim is found, and told beside it (`unusual`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.model.failure import Failure

OWN = frozenset({"lab-alpn"})
"""EnvoyFilters of the lab's own clusters (clusters/embedded/node/alpn.py)."""
Settings = Mapping[str, Any]


def unmet(failure: Failure, mesh: Settings) -> list[str]:
    """Return each precondition of a failure that these settings do not meet, in words."""
    return [*_by_default(failure, mesh), *_unruled(failure, mesh), *_assumed(failure, mesh)]


def _by_default(failure: Failure, mesh: Settings) -> Iterator[str]:
    """Find what changes Istio's default, both accepted, for worlds without PeerAuthentication."""
    worlds = ", ".join(world.name for world in failure.worlds if not world.mtls)
    for name, mode in _mesh_wide(mesh):
        if worlds and mode not in ("UNSET", "PERMISSIVE"):
            yield f"PeerAuthentication {name} makes the whole mesh {mode}, and {worlds} no other"


def _unruled(failure: Failure, mesh: Settings) -> Iterator[str]:
    """Find what tells clients how to speak in worlds without a DestinationRule."""
    worlds = ", ".join(world.name for world in failure.worlds if not world.rule)
    for name, spec in _root(mesh, "DestinationRule").items():
        mode = spec.get("trafficPolicy", {}).get("tls", {}).get("mode")
        if worlds and mode and str(spec.get("host", "")).startswith("*"):
            yield f"DestinationRule {name} says {mode} for {spec['host']}, and {worlds} nothing"


def _assumed(failure: Failure, mesh: Settings) -> Iterator[str]:
    """Find proxies that do not know their own namespace, or let nothing unknown pass through."""
    for name, spec in _root(mesh, "Sidecar").items():
        hosts = [host for egress in spec.get("egress", []) for host in egress.get("hosts", [])]
        if not spec.get("workloadSelector") and hosts and not {"*/*", "./*"} & set(hosts):
            yield f"Sidecar {name} lets proxies know {', '.join(hosts)} only"
    if failure.passthrough and _outbound(mesh) != "ALLOW_ANY":
        yield f"outboundTrafficPolicy is {_outbound(mesh)}: nothing passes through"


def unusual(mesh: Settings) -> list[str]:
    """Return settings that are not Istio's defaults, in words; they may explain a verdict."""
    told = [f"PeerAuthentication {name}: {mode}" for name, mode in _mesh_wide(mesh)]
    config = mesh.get("config", {})
    if config.get("enableAutoMtls") is False:
        told.append("enableAutoMtls: false")
    if _outbound(mesh) != "ALLOW_ANY":
        told.append(f"outboundTrafficPolicy: {_outbound(mesh)}")
    for kind in ("DestinationRule", "Sidecar", "AuthorizationPolicy", "EnvoyFilter", "Telemetry"):
        names = sorted(set(_root(mesh, kind)) - OWN)
        told += [f"{kind} {', '.join(names)}"] if names else []
    return told


def _outbound(mesh: Settings) -> str:
    """Return the mesh's outbound policy, or that of a Sidecar for all of it."""
    said = [*_root(mesh, "Sidecar").values(), mesh.get("config", {})]
    policies = [one["outboundTrafficPolicy"] for one in said if one.get("outboundTrafficPolicy")]
    return str(policies[0].get("mode", "ALLOW_ANY")) if policies else "ALLOW_ANY"


def _mesh_wide(mesh: Settings) -> Iterator[tuple[str, str]]:
    for name, spec in _root(mesh, "PeerAuthentication").items():
        if not spec.get("selector"):
            yield name, str(spec.get("mtls", {}).get("mode", "UNSET"))


def _root(mesh: Settings, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = mesh.get("root", {}).get(kind, {})
    return found
