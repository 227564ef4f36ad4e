"""The objects of a namespace as they were, and how it comes to have them again."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from clusters.kube import ApiError, Kube, Obj
from lab.lessons.settled import TOKEN

_LEFT_OUT = frozenset({"events", "endpoints", "endpointslices", "leases", "controllerrevisions"})
"""What a cluster writes itself."""
_AS_SERVED = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "selfLink",
)
_WRITTEN_LATER = (
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
)


class Resource(NamedTuple):
    """A kind of object that lies in namespaces."""

    group: str
    """`/api/v1`, `/apis/apps/v1`."""
    name: str
    kind: str


@dataclass(frozen=True)
class Snapshot:
    """What a namespace had: (resource, name) -> the object."""

    namespace: str
    objects: Mapping[tuple[Resource, str], Obj]


def resources(kube: Kube) -> list[Resource]:
    """Return every kind that lies in namespaces and can be listed, made and deleted."""
    groups = ["/api/v1"]
    groups += [
        f"/apis/{one['preferredVersion']['groupVersion']}"
        for one in kube.request("GET", "/apis")["groups"]
    ]
    with ThreadPoolExecutor(8) as pool:
        return [
            one for found in pool.map(lambda group: _of_group(kube, group), groups) for one in found
        ]


def _of_group(kube: Kube, group: str) -> list[Resource]:
    needed = {"list", "create", "delete", "update"}
    return [
        Resource(group, one["name"], one["kind"])
        for one in (kube.get(group) or {}).get("resources", ())
        if one["namespaced"] and needed <= {*one["verbs"]} and one["name"] not in _LEFT_OUT
    ]


def take(kube: Kube, namespace: str, kinds: list[Resource]) -> Snapshot:
    """Return what a namespace has now, without what controllers made of something else."""
    with ThreadPoolExecutor(8) as pool:
        each = pool.map(lambda one: [*_listed(kube, namespace, one)], kinds)
        return Snapshot(namespace, {key: obj for found in each for key, obj in found})


def _listed(
    kube: Kube, namespace: str, kind: Resource
) -> Iterator[tuple[tuple[Resource, str], Obj]]:
    try:
        found = kube.items(f"{kind.group}/namespaces/{namespace}/{kind.name}")
    except ApiError as refused:
        if refused.status not in (403, 404, 405):
            raise
        return
    for one in found:
        if not one["metadata"].get("ownerReferences") and one["metadata"]["name"] != TOKEN:
            yield (kind, str(one["metadata"]["name"])), one


def restore(kube: Kube, was: Snapshot, kinds: list[Resource]) -> list[str]:
    """Make a namespace as it was; return what was changed for it, a name each."""
    now, changed = take(kube, was.namespace, kinds), []
    for key in now.objects.keys() - was.objects.keys():
        kube.request(
            "DELETE", _path(was.namespace, *key), query={"propagationPolicy": "Background"}
        )
        changed.append(f"{key[0].kind} {key[1]} is deleted")
    for key, obj in was.objects.items():
        there = now.objects.get(key)
        if there is None:
            body = {**_cleaned(obj), **_head(key[0])}
            kube.request("POST", _path(was.namespace, key[0]), body)
            changed.append(f"{key[0].kind} {key[1]} is made again")
        elif _cleaned(there) != _cleaned(obj):
            body = {**_cleaned(obj), **_head(key[0])}
            body["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
            kube.request("PUT", _path(was.namespace, *key), body)
            changed.append(f"{key[0].kind} {key[1]} is as it was")
    return sorted(changed)


def _head(kind: Resource) -> Obj:
    return {
        "kind": kind.kind,
        "apiVersion": kind.group.removeprefix("/apis/").removeprefix("/api/"),
    }


def _path(namespace: str, kind: Resource, name: str = "") -> str:
    path = f"{kind.group}/namespaces/{namespace}/{kind.name}"
    return f"{path}/{name}" if name else path


def _cleaned(obj: Obj) -> Obj:
    """Return an object without what the server keeps of it."""
    made = copy.deepcopy(
        {key: value for key, value in obj.items() if key not in ("status", "kind", "apiVersion")}
    )
    meta = {key: value for key, value in made["metadata"].items() if key not in _AS_SERVED}
    notes = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in _WRITTEN_LATER}
    made["metadata"] = {**meta, "annotations": notes}
    return made


def names(of: Snapshot) -> dict[str, Obj]:
    """Return its objects by kind and name, without what a server keeps of them."""
    return {f"{kind.kind} {name}": _cleaned(obj) for (kind, name), obj in of.objects.items()}
