"""The objects of a cluster that policies are read from, and which pods they are for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusters.kube import ApiError, Obj
from lab.predict.cluster import Objects as Listed

ROOT = "istio-system"
"""The root namespace, whose policies without a selector are for the whole mesh."""
SECURITY = "/apis/security.istio.io/v1"
NETWORKING = "/apis/networking.istio.io/v1"


@dataclass(frozen=True)
class Objects:
    """What an audit reads of the API, beside what the proxies hold."""

    pods: Sequence[Obj] = ()
    services: Sequence[Obj] = ()
    peer_authentications: Sequence[Obj] = ()
    authorization_policies: Sequence[Obj] = ()
    destination_rules: Sequence[Obj] = ()


def read(kube: Listed) -> Objects:
    """Return a cluster's objects. A kind that the cluster does not have has none."""
    return Objects(
        kube.items("/api/v1/pods"),
        kube.items("/api/v1/services"),
        _items(kube, "PeerAuthentication", f"{SECURITY}/peerauthentications"),
        _items(kube, "AuthorizationPolicy", f"{SECURITY}/authorizationpolicies"),
        _items(kube, "DestinationRule", f"{NETWORKING}/destinationrules"),
    )


def _items(kube: Listed, kind: str, path: str) -> list[Obj]:
    try:
        return [{**one, "kind": kind} for one in kube.items(path)]  # a list names it once
    except ApiError as refused:
        if refused.status != 404:
            raise
        return []


def age(obj: Obj) -> tuple[str, str]:
    """Return what istiod orders objects by, the oldest first: age, then name."""
    meta = obj["metadata"]
    return str(meta.get("creationTimestamp", "")), str(meta["name"])


def named(obj: Obj) -> str:
    """Return kind, namespace and name: `PeerAuthentication shop/default`."""
    meta = obj["metadata"]
    return f"{obj['kind']} {meta['namespace']}/{meta['name']}"


def spec(obj: Obj) -> Mapping[str, Any]:
    """Return an object's specification; a policy may have none."""
    found: Mapping[str, Any] = obj.get("spec") or {}
    return found


def selector(obj: Obj) -> Mapping[str, str]:
    """Return the labels that an object of Istio's security API selects pods by."""
    chosen: Mapping[str, Any] = spec(obj).get("selector") or {}
    found: Mapping[str, str] = chosen.get("matchLabels") or {}
    return found


def selected(obj: Obj, pods: Sequence[Obj]) -> Iterator[Obj]:
    """Yield the pods that an object is for: of its namespace, or of all where that is the root."""
    namespace = obj["metadata"]["namespace"]
    for pod in pods:
        here = pod["metadata"]["namespace"] == namespace or namespace == ROOT
        if here and has_labels(pod, selector(obj)):
            yield pod


def has_labels(pod: Obj, wanted: Mapping[str, str]) -> bool:
    """Return whether a pod has these labels."""
    labels: Mapping[str, Any] = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in wanted.items())


def serving(pods: Sequence[Obj], services: Sequence[Obj]) -> Iterator[tuple[Obj, Obj, Obj]]:
    """Yield (Service, its port, a pod behind it)."""
    for service in services:
        wanted = service["spec"].get("selector")
        for pod in pods if wanted else ():
            same = pod["metadata"]["namespace"] == service["metadata"]["namespace"]
            if same and has_labels(pod, wanted):
                for port in service["spec"].get("ports") or ():
                    yield service, port, pod


def target(port: Obj, pod: Obj) -> int:
    """Return where a pod listens for a Service's port; 0: a name that no container has."""
    wanted = port.get("targetPort", port["port"])
    if isinstance(wanted, int):
        return wanted
    containers = pod["spec"].get("containers") or ()
    named_so = (
        int(one["containerPort"])
        for container in containers
        for one in container.get("ports") or ()
        if one.get("name") == wanted
    )
    return next(named_so, 0)
