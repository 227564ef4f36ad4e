"""A cluster's objects as they are once manifests are applied."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from clusters.kube import Obj
from lab.audit.changed import kinds
from lab.common.errors import BadArguments

Key = tuple[str, str, str, str]
"""Group, kind, namespace and name."""
DELETE = "$patch"
"""`$patch: delete` at the head of a manifest takes the object away, as Kustomize has it."""
_KEPT = ("uid", "creationTimestamp", "resourceVersion", "generation")
_KEPT_OF_SERVICE = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "type")


def key(obj: Obj) -> Key:
    """Return what tells an object from all others, whatever its version."""
    meta = obj["metadata"]
    return kinds.group(str(obj["apiVersion"])), str(obj["kind"]), str(
        meta.get("namespace") or ""
    ), str(meta["name"])  # fmt: skip


def named(one: Key) -> str:
    """Return an object as it is named in output: `PeerAuthentication shop/default`."""
    _, kind, namespace, name = one
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


@dataclass
class Applied:
    """What manifests make of a cluster's objects."""

    objects: list[Obj]
    changed: list[str] = field(default_factory=list)
    """`PeerAuthentication shop/default created`."""
    left_out: dict[str, str] = field(default_factory=dict)
    """What is not applied -> why. Where it could change an edge, the answer is not whole."""
    services: list[str] = field(default_factory=list)
    """NAMESPACE/NAME of Services whose endpoints follow from their pods anew."""


def apply(objects: Sequence[Obj], manifests: Iterable[Obj], now: str) -> Applied:
    """Return the objects after the manifests are applied. now: the time of what is created.

    Raises BadArguments for a manifest that names no object.
    """
    known = {key(one): one for one in objects}
    made = Applied([])
    for manifest in manifests:
        _apply_one(known, with_namespace(manifest), now, made)
    made.objects = [*known.values()]
    return made


def merge(given: Iterable[Obj], changes: Iterable[Obj]) -> Applied:
    """Return manifests of which no cluster knows, with others that take the place of some.

    Raises BadArguments for a manifest that names no object, and for one that is to be deleted and
    is not there.
    """
    known = {key(one): one for one in map(with_namespace, given)}
    made = Applied([])
    for manifest in map(with_namespace, changes):
        name = key(manifest)
        if manifest.get(DELETE) != "delete":
            made.changed.append(f"{named(name)} {'replaced' if name in known else 'created'}")
            known[name] = manifest
        elif known.pop(name, None) is None:
            raise _not_there(name)
        else:
            made.changed.append(f"{named(name)} deleted")
    made.objects = [*known.values()]
    return made


def _not_there(name: Key) -> BadArguments:
    return BadArguments(f"{named(name)} is to be deleted, and is not there")


def _apply_one(known: dict[Key, Obj], manifest: Obj, now: str, made: Applied) -> None:
    name = key(manifest)
    kind = name[1]
    if kind in kinds.RUNS_PODS:
        made.left_out[named(name)] = "pods stay as they are: none is injected or started"
        return
    if not kinds.can_be_applied(str(manifest["apiVersion"]), kind):
        return  # nothing that istiod reads
    before = known.get(name)
    if manifest.get(DELETE) == "delete":
        if known.pop(name, None) is None:
            raise _not_there(name)
        for one in [other for other, each in known.items() if _is_slice_of(each, name)]:
            del known[one]  # as Kubernetes collects what its Service owned
        made.changed.append(f"{named(name)} deleted")
        return
    after = as_stored(manifest, before, now)
    if kind == "Service":
        _check_address(name, after)
        if before is None or _serves(before) != _serves(after):
            made.services.append(f"{name[2]}/{name[3]}")
    known[name] = after
    made.changed.append(f"{named(name)} {'replaced' if before else 'created'}")


def with_namespace(manifest: Obj) -> Obj:
    """Return a manifest with its namespace. Raises BadArguments for one that names no object."""
    try:
        meta, kind = dict(manifest["metadata"]), str(manifest["kind"])
        if not meta["name"] or not manifest["apiVersion"]:
            raise KeyError("name")
    except (KeyError, TypeError, ValueError):
        raise BadArguments(
            "a manifest names no object: it needs apiVersion, kind and metadata.name"
        ) from None
    if kind not in kinds.CLUSTER_WIDE:
        meta.setdefault("namespace", "default")
    return {**manifest, "metadata": meta}


def as_stored(manifest: Obj, before: Obj | None, now: str) -> Obj:
    """Return a manifest as an API server stores it: with uid, time and status as before."""
    meta = dict(manifest["metadata"])
    if manifest["kind"] == "Service":
        manifest = {**manifest, "spec": _with_ports(manifest["spec"])}
    if before is None:
        uid = hashlib.sha256(repr(key(manifest)).encode()).hexdigest()
        meta |= {"uid": uid[:32], "creationTimestamp": now}
        return {**manifest, "metadata": meta}
    meta |= {name: before["metadata"][name] for name in _KEPT if name in before["metadata"]}
    after = {**manifest, "metadata": meta}
    if "status" in before:
        after["status"] = before["status"]
    if manifest["kind"] == "Service":
        old: Mapping[str, object] = before["spec"]
        kept = {name: old[name] for name in _KEPT_OF_SERVICE if name in old}
        after["spec"] = {**kept, **manifest["spec"]}
    return after


def _with_ports(spec: Obj) -> Obj:
    """Return a Service's specification with what an API server adds to each of its ports."""
    ports = [
        {"protocol": "TCP", "targetPort": one["port"], **one} for one in spec.get("ports") or ()
    ]
    return {**spec, "ports": ports} if ports else spec


def _serves(service: Obj) -> tuple[object, ...]:
    """Return what the endpoints of a Service follow from."""
    spec = service["spec"]
    ports = [
        (one.get("name", ""), one.get("protocol", "TCP"), one.get("targetPort", one["port"]),
         one.get("appProtocol"))
        for one in spec.get("ports") or ()
    ]  # fmt: skip
    return spec.get("selector"), ports, spec.get("publishNotReadyAddresses", False)


def _check_address(name: Key, service: Obj) -> None:
    """Raise BadArguments for a new Service whose ClusterIP an API server would choose."""
    spec = service["spec"]
    if spec.get("type") != "ExternalName" and not spec.get("clusterIP"):
        raise BadArguments(
            f"{named(name)} is new and has no clusterIP, which a cluster would choose",
            hint="write one into the manifest that is free in the cluster, or None",
        )


def _is_slice_of(obj: Obj, service: Key) -> bool:
    _, kind, namespace, name = service
    meta = obj["metadata"]
    own = (meta.get("labels") or {}).get("kubernetes.io/service-name")
    same = kind == "Service" and obj["kind"] == "EndpointSlice"
    return same and (meta.get("namespace"), own) == (namespace, name)
