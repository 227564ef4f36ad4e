"""What a cluster would add to manifests: addresses, accounts, a node, and the mesh's settings."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from clusters.kube import Obj
from clusters.stacks import assembly
from lab.audit.changed import generator, kinds, manifests
from lab.audit.changed.control_plane import NAMESPACE, ControlPlane
from lab.audit.rendered import pods

REVISION = "default"
ADDRESSES = "10.96"
_MESH = "defaultConfig: {discoveryAddress: istiod.istio-system.svc:15012}\n"


@dataclass(frozen=True)
class Completed:
    """A cluster's objects, made of manifests."""

    objects: list[Obj]
    services: list[str]
    """NAMESPACE/NAME of those with a selector, whose endpoints follow from the pods."""
    assumed: list[str]
    """What the manifests do not tell, in sentences."""
    refused: dict[str, str]
    """Pod -> why no sidecar can be injected, though one is asked for."""


def complete(given: Iterable[Obj], plane: ControlPlane, now: str) -> Completed:
    """Return what manifests would be in a cluster. now: when they are applied.

    Raises BadArguments for a manifest that names no object.
    """
    known = {manifests.key(one): one for one in map(manifests.with_namespace, given)}
    objects, mesh = [*known.values()], _mesh([*known.values()])
    labels = {
        one["metadata"]["name"]: one["metadata"].get("labels") or {}
        for one in objects
        if one["kind"] == "Namespace"
    }
    running = pods.of(objects, now)
    asked = [one for one in running if pods.is_injected(one, labels)]
    made, refused = generator.inject(plane, asked, mesh or _MESH)
    injected = {_name(one): one for one in made}
    found = [
        *_addressed(_stored(one, now) for one in objects if one["kind"] not in kinds.RUNS_PODS),
        *(
            _unknown(one) if _name(one) in refused else injected.get(_name(one), one)
            for one in running
        ),
    ]
    return Completed(
        [*found, *_around(found, mesh, now)],
        [_name(one) for one in found if one["kind"] == "Service" and one["spec"].get("selector")],
        [*_assumed(plane, {one["metadata"]["namespace"] for one in running} - {*labels}, mesh)],
        refused,
    )


def _unknown(pod: Obj) -> Obj:
    """Return a pod with a proxy of which nothing is known."""
    spec = pod["spec"]
    return {**pod, "spec": {**spec, "containers": [*spec["containers"], {"name": "istio-proxy"}]}}


def _assumed(plane: ControlPlane, spaces: Collection[str], mesh: str | None) -> Iterator[str]:
    """Yield what is assumed. spaces: namespaces with pods that are not among the manifests."""
    yield f"Istio {plane.stack} with its defaults"
    if spaces:
        named = ", ".join(sorted(spaces))
        yield f"pods are injected in {named}: no Namespace of that name is there"
    if mesh is None:
        yield f"the mesh's configuration is Istio's: no ConfigMap {NAMESPACE}/istio"


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
    spaces = {one["metadata"].get("namespace", "") for one in found} - {""}
    accounts = {
        (one["spec"]["serviceAccountName"], one["metadata"]["namespace"])
        for one in found
        if one["kind"] == "Pod"
    }
    wanted = [
        _object("Node", pods.NODE),
        *(_object("Namespace", name) for name in sorted({*spaces, NAMESPACE})),
        *(_object("ServiceAccount", *account) for account in sorted(accounts)),
    ]
    if mesh is None:
        data = {"mesh": _MESH, "meshNetworks": "networks: {}"}
        wanted.append({**_object("ConfigMap", "istio", NAMESPACE), "data": data})
    there = {manifests.key(one) for one in found}
    yield from (_stored(one, now) for one in wanted if manifests.key(one) not in there)


def _object(kind: str, name: str, namespace: str = "") -> Obj:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta}
