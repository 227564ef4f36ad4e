"""What a cluster would add to manifests: addresses, accounts, a node, and the mesh's settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from clusters.kube import Obj
from clusters.stacks import assembly
from lab.audit.changed import generator, kinds, manifests
from lab.audit.changed.control_plane import NAMESPACE, ControlPlane
from lab.audit.rendered import pods

REVISION = "default"
ADDRESSES = "10.96"
_MESH = "defaultConfig: {discoveryAddress: istiod.istio-system.svc:15012}\n"


@dataclass
class Completed:
    """A cluster's objects, made of manifests."""

    objects: list[Obj]
    services: list[str]
    """NAMESPACE/NAME of those with a selector, whose endpoints follow from the pods."""
    assumed: list[str] = field(default_factory=list)
    """What the manifests do not tell, in sentences."""


def complete(given: Iterable[Obj], plane: ControlPlane, now: str) -> Completed:
    """Return what manifests would be in a cluster. now: when they are applied.

    Raises BadArguments for a manifest that names no object.
    """
    known = {manifests.key(one): one for one in map(manifests.with_namespace, given)}
    objects = [*known.values()]
    made = Completed([], [], [f"Istio {plane.stack} with its defaults"])
    running = pods.of(objects, now)
    labels = {
        one["metadata"]["name"]: one["metadata"].get("labels") or {}
        for one in objects
        if one["kind"] == "Namespace"
    }
    unknown = sorted({one["metadata"]["namespace"] for one in running} - {*labels})
    if unknown:
        made.assumed.append(
            f"pods are injected in {', '.join(unknown)}: no Namespace of that name is there"
        )
    mesh = _mesh(objects)
    if mesh is None:
        made.assumed.append(f"the mesh's configuration is Istio's: no ConfigMap {NAMESPACE}/istio")
    injected = generator.inject(
        plane, [one for one in running if pods.is_injected(one, labels)], mesh or _MESH
    )
    by_name = {_name(one): one for one in injected}
    running = [by_name.get(_name(one), one) for one in running]
    rest = [_stored(one, now) for one in objects if one["kind"] not in kinds.RUNS_PODS]
    found = [*_addressed(rest), *running]
    made.objects = [*found, *_around(found, mesh, now)]
    made.services = [
        _name(one) for one in found if one["kind"] == "Service" and one["spec"].get("selector")
    ]
    return made


def default_plane() -> ControlPlane:
    """Return the istiod that manifests are read by: of the lab's own Istio, as it is by default."""
    return ControlPlane(REVISION, {}, assembly.DEFAULT)


def _name(obj: Obj) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _mesh(objects: Sequence[Obj]) -> str | None:
    for one in objects:
        meta = one["metadata"]
        if (one["kind"], meta.get("namespace"), meta["name"]) == ("ConfigMap", NAMESPACE, "istio"):
            return str((one.get("data") or {}).get("mesh") or "")
    return None


def _stored(obj: Obj, now: str) -> Obj:
    return manifests.as_stored(obj, None, now)


def _addressed(objects: Iterable[Obj]) -> Iterator[Obj]:
    """Yield the objects; Services that an API server gives an address have one."""
    free = (f"{ADDRESSES}.{n // 250}.{n % 250 + 1}" for n in itertools.count(1))
    for one in objects:
        spec = one.get("spec") or {}
        outside = spec.get("type") == "ExternalName"
        if one["kind"] != "Service" or outside or spec.get("clusterIP"):
            yield one
        else:
            address = next(free)
            yield {**one, "spec": {**spec, "clusterIP": address, "clusterIPs": [address]}}


def _around(found: Sequence[Obj], mesh: str | None, now: str) -> Iterator[Obj]:
    """Yield what is in every cluster and not among the manifests."""
    there = {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
        for one in found
    }
    spaces = {one["metadata"]["namespace"] for one in found if one["metadata"].get("namespace")}
    wanted: list[Obj] = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": pods.NODE}},
        *(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": one}}
            for one in sorted({*spaces, NAMESPACE})
        ),
        *(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": namespace},
            }
            for namespace, name in sorted(
                {
                    (one["metadata"]["namespace"], one["spec"]["serviceAccountName"])
                    for one in found
                    if one["kind"] == "Pod"
                }
            )
        ),
    ]
    if mesh is None:
        meta = {"name": "istio", "namespace": NAMESPACE}
        data = {"mesh": _MESH, "meshNetworks": "networks: {}"}
        wanted.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    for one in wanted:
        meta = one["metadata"]
        if (one["kind"], meta.get("namespace", ""), meta["name"]) not in there:
            yield _stored(one, now)
