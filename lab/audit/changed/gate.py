"""Whether generated configuration is what a live proxy holds: else nothing is concluded from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.envoy.dump import refusing_other_shapes

Part = Mapping[str, Any]
Resource = tuple[str, str]
"""`cluster`, `endpoints`, `listener` or `route`, and its name."""
_HEALTHY = ("", "UNKNOWN", "HEALTHY")
_FETCHED = "local_jwks"
"""Keys of a JWT's issuer, which a live istiod fetches."""


@refusing_other_shapes()
def differences(live: Part, generated: Part) -> list[str]:
    """Return what a live dump and a generated one differ in; empty: the gate holds.

    Left out is what istiod does not tell, or tells anew each time: what the bootstrap has, order,
    versions, times, secrets. Raises BadEvidence for what is no config dump.
    """
    told, held = resources(generated), resources(live)
    found = []
    for one in sorted({*told, *held}):
        if one not in held:
            found.append(f"{' '.join(one)} is generated, and the proxy does not hold it")
        elif one not in told:
            found.append(f"{' '.join(one)} is held, and not generated")
        elif told[one] != held[one]:
            found.append(f"{' '.join(one)} differs at {_first(held[one], told[one])}")
    return found


def resources(dump: Part) -> dict[Resource, Any]:
    """Return what istiod told a proxy, by kind and name, as two dumps can be compared."""
    clusters = {
        one["cluster"]["name"]: one["cluster"] for one in _all(dump, "dynamic_active_clusters")
    }
    asked = {_service(one) for one in clusters.values() if one.get("type") == "EDS"}
    found: dict[Resource, Any] = {("cluster", name): _plain(one) for name, one in clusters.items()}
    for one in _all(dump, "dynamic_listeners"):
        if one.get("active_state"):
            found["listener", one["name"]] = _plain(one["active_state"]["listener"])
    used = {name for one in found.values() for name in _routes(one)}
    for one in _all(dump, "dynamic_route_configs"):
        if one["route_config"]["name"] in used:  # a proxy keeps others while a listener drains
            found["route", one["route_config"]["name"]] = _plain(one["route_config"])
    for one in _all(dump, "dynamic_endpoint_configs"):
        name = one["endpoint_config"].get("cluster_name")
        if name in asked:
            found["endpoints", name] = _endpoints(one["endpoint_config"])
    for name in asked:
        found.setdefault(("endpoints", name), [])  # told by nobody: it has none
    return found


def _all(dump: Part, key: str) -> Iterator[Part]:
    for part in dump["configs"]:
        yield from part.get(key) or ()


def _routes(part: Any) -> Iterator[str]:
    """Yield the names of the routes that a part of a configuration uses."""
    if isinstance(part, Mapping):
        if "route_config_name" in part:
            yield str(part["route_config_name"])
        part = [*part.values()]
    if isinstance(part, list):
        for one in part:
            yield from _routes(one)


def _service(cluster: Part) -> str:
    return str((cluster.get("eds_cluster_config") or {}).get("service_name") or cluster["name"])


def _plain(part: Any) -> Any:
    """Return a part of a configuration without keys that istiod fetched."""
    if isinstance(part, Mapping):
        return {name: "" if name == _FETCHED else _plain(value) for name, value in part.items()}
    return [_plain(one) for one in part] if isinstance(part, list) else part


def _endpoints(assignment: Part) -> list[Any]:
    """Return endpoints as a proxy dumps them and as istiod tells them: defaults are left out."""
    found = []
    for group in assignment.get("endpoints") or ():
        where = {name: value for name, value in (group.get("locality") or {}).items() if value}
        for one in group.get("lb_endpoints") or ():
            health = str(one.get("health_status", ""))
            found.append(
                {
                    "address": one["endpoint"]["address"],
                    "health": "" if health in _HEALTHY else health,
                    "metadata": _metadata(one.get("metadata") or {}),
                    "weight": int(one.get("load_balancing_weight") or 1),
                    "priority": int(group.get("priority") or 0),
                    "locality": where,
                }
            )
    return sorted(found, key=repr)


def _metadata(metadata: Part) -> Part:
    return {name: value for name, value in (metadata.get("filter_metadata") or {}).items() if value}


def _first(held: Any, told: Any, path: str = "") -> str:
    """Return where two parts first differ: `filter_chains[2].name`."""
    if isinstance(held, Mapping) and isinstance(told, Mapping):
        for name in sorted({*held, *told}):
            if held.get(name) != told.get(name):
                return _first(held.get(name), told.get(name), f"{path}.{name}" if path else name)
    if isinstance(held, list) and isinstance(told, list):
        for index, (one, other) in enumerate(zip(held, told, strict=False)):
            if one != other:
                return _first(one, other, f"{path}[{index}]")
        return f"{path}: {len(held)} held, {len(told)} generated"
    return path or "its whole"
