"""Tells whether a proxy's configuration has what objects of Istio's say, beside a world's modes.

istiod names an object in what it makes of it, or makes listeners and clusters of it that are named
by its hosts and ports.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from clusters.kube import Obj

Dump = Mapping[str, Any]
INBOUND = ("AuthorizationPolicy",)
"""Kinds that matter to a server; the others come to a client, where no Sidecar limits it."""
PARTS = (
    "dynamic_listeners",
    "dynamic_active_clusters",
    "dynamic_route_configs",
    "dynamic_endpoint_configs",
)
KEBAB = {"DestinationRule": "destination-rule", "VirtualService": "virtual-service"}
"""Kinds that istiod names in the metadata of clusters and of HTTP routes (networking/util)."""


def missing(objects: Iterable[Obj], dump: Dump, labels: Mapping[str, str], namespace: str) -> str:
    """Return the first object that a proxy's configuration does not show; empty: it shows all.

    objects: of the world. labels: of the proxy's pod. namespace: of both.
    """
    every = list(objects)
    active = _active(dump) if every else {}
    text = json.dumps(active)
    clusters = {entry["cluster"]["name"] for entry in active.get("dynamic_active_clusters", [])}

    def is_held(mark: str) -> bool:
        """A listener names its cluster before that is active."""
        return mark in (clusters if mark.startswith("outbound|") else text)

    limited = scope(every, labels) is not None
    for obj in every:
        ours = concerns(obj, labels) and not (limited and obj["kind"] not in INBOUND)
        if ours and not all(map(is_held, marks(obj, namespace))):
            return f"{obj['kind']} {obj['metadata']['name']}"
    return ""


def shown(objects: Iterable[Obj], dump: Dump, namespace: str, port: int) -> list[str]:
    """Return what a proxy's configuration shows of objects, and its listeners of a port."""
    active = _active(dump)
    text = json.dumps(active)
    named = {mark for obj in objects for mark in marks(obj, namespace) if mark in text}
    clusters = [entry["cluster"] for entry in active["dynamic_active_clusters"]]
    found = [json.dumps(one, sort_keys=True) for one in clusters if one["name"] in named]
    listeners = [str(entry["name"]) for entry in active["dynamic_listeners"]]
    bound = sorted(one for one in listeners if one.endswith(f"_{port}"))
    return [*sorted(named), *found, *bound, _passes_on(active["dynamic_listeners"])]


def inbound(dump: Dump, port: int) -> str:
    """Return all that a server's proxy does with what comes to a port: its policies too."""
    for one in _active(dump)["dynamic_listeners"]:
        if one["name"] == "virtualInbound":
            chains = one["active_state"]["listener"].get("filter_chains", [])
            ours = [
                chain
                for chain in chains
                if chain.get("filter_chain_match", {}).get("destination_port") == port
            ]
            return json.dumps(ours)
    return ""


def _passes_on(listeners: Iterable[Mapping[str, Any]]) -> str:
    """Return what a sidecar does with what is for no Service, as its configuration has it."""
    for one in listeners:
        if one["name"] == "virtualOutbound":
            return json.dumps(one["active_state"]["listener"].get("filter_chains"))
    return ""


def _active(dump: Dump) -> dict[str, list[dict[str, Any]]]:
    """Return the parts of a dump that are in force: a listener that drains is not."""
    found = {
        key: [entry for part in dump.get("configs", []) for entry in part.get(key, [])]
        for key in PARTS
    }
    listeners = [one for one in found["dynamic_listeners"] if one.get("active_state")]
    in_force = [{"name": one["name"], "active_state": one["active_state"]} for one in listeners]
    return {**found, "dynamic_listeners": in_force}


def marks(obj: Obj, namespace: str) -> Iterator[str]:
    """Yield the texts that an object leaves in a proxy's configuration."""
    kind, name, spec = obj["kind"], obj["metadata"]["name"], obj.get("spec", {})
    if kind == "AuthorizationPolicy":
        yield f"ns[{namespace}]-policy[{name}]"
    elif kind == "DestinationRule" or spec.get("http"):  # routes of TCP name no VirtualService
        yield f"/namespaces/{namespace}/{KEBAB[kind]}/{name}"
    elif kind == "ServiceEntry":
        for port in spec["ports"]:
            yield from (f"outbound|{port['number']}||{host}" for host in spec["hosts"])
    elif kind == "Service" and spec.get("selector"):
        for port in spec["ports"]:
            yield f"outbound|{port['port']}||{name}.{namespace}.svc.cluster.local"
    elif kind == "Gateway":
        yield from (f'"0.0.0.0_{one["port"]["number"]}"' for one in spec["servers"])


def concerns(obj: Obj, labels: Mapping[str, str]) -> bool:
    """Return whether an object is for the proxy of a pod with these labels."""
    spec = obj.get("spec", {})
    chosen = spec.get("selector", {}).get("matchLabels", {})
    if obj["kind"] == "Gateway":
        chosen = spec["selector"]
    if obj["kind"] == "VirtualService" and spec.get("gateways"):
        return labels.get("app") == "gateway"
    return obj["kind"] == "Service" or _selected(chosen, labels)


def _selected(chosen: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return chosen.items() <= labels.items()


def scope(objects: Iterable[Obj], labels: Mapping[str, str]) -> list[str] | None:
    """Return the egress hosts of the Sidecar that selects a pod; None: no Sidecar limits it."""
    for obj in objects:
        spec = obj.get("spec", {})
        chosen = spec.get("workloadSelector", {}).get("labels", {})
        if obj["kind"] == "Sidecar" and _selected(chosen, labels):
            return [host for one in spec.get("egress", []) for host in one["hosts"]]
    return None


def in_scope(hosts: Iterable[str] | None, service: str, namespace: str) -> bool:
    """Return whether a Sidecar's egress hosts, `namespace/host` each, have a Service of its own."""
    if hosts is None:
        return True
    parted = (one.partition("/") for one in hosts)
    host = f"{service}.{namespace}.svc.cluster.local"
    return any(
        where in (".", "*", namespace) and fnmatchcase(host, pattern)
        for where, _, pattern in parted
    )


def mode(objects: Iterable[Obj], labels: Mapping[str, str], port: int, default: str) -> str:
    """Return the PeerAuthentication mode of a workload's port. default: the namespace's."""
    found = default
    for obj in objects:
        spec = obj.get("spec", {})
        chosen = spec.get("selector", {}).get("matchLabels", {})
        if obj["kind"] != "PeerAuthentication" or not _selected(chosen, labels):
            continue
        found = spec.get("mtls", {}).get("mode", found)
        ports = {int(number): one for number, one in spec.get("portLevelMtls", {}).items()}
        return str(ports.get(port, {}).get("mode", found))
    return found
