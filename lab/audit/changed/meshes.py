"""A mesh before and after manifests are applied, and how far its configuration is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from clusters.base import PodRef, Progress
from clusters.kube import Obj
from lab.audit.api import ApiInventory
from lab.audit.changed import control_plane, gate, generator, manifests
from lab.audit.changed.control_plane import ControlPlane
from lab.audit.changed.generator import Generated
from lab.audit.changed.manifests import Applied
from lab.audit.folder import Files, StoredObjects
from lab.common.errors import BadArguments, BadEvidence
from lab.envoy import interception
from lab.predict.cluster import ApiMesh

Known = Literal["held", "generated, not held", "unknown"]
"""`held`: of the objects as they are, istiod's own code generates what the proxy holds."""


@dataclass(frozen=True)
class Told:
    """How far one proxy's configuration after the change is known."""

    known: Known
    why: tuple[str, ...] = ()
    """What differs, or could not be generated."""


@dataclass(frozen=True)
class Meshes:
    """A mesh, twice."""

    before: ApiInventory
    after: ApiInventory
    proxies: Mapping[str, Told]
    """Pod -> how far it is known."""
    applied: Applied
    assumed: Sequence[str]
    """Of what configuration is generated, in sentences."""
    after_of: Callable[[PodRef], Any]
    """Returns what a pod's proxy would hold. Raises BadEvidence where that is unknown."""


def of(
    files: Files,
    changes: Iterable[Obj],
    namespaces: Sequence[str],
    *,
    now: str,
    progress: Progress,
) -> Meshes:
    """Return the mesh of files as it is, and as it is with the changes; now: when they are made.

    Raises BadArguments where the files lack what istiod reads, and NotReproduced for an istiod that
    is not reproduced here.
    """
    if not files.objects.whole:
        raise BadArguments(
            "a cluster's objects are not in the files, of which configuration is generated",
            hint="docs/audit.md names the commands that write them",
        )
    objects = files.objects.every
    pods = [one for one in objects if has_proxy(one)]
    plane = control_plane.find(objects, pods)
    applied = manifests.apply(objects, changes, now)
    generator.build(plane, progress)
    progress(f"generating the configuration of {len(pods)} proxies, before and after")
    asked = [(one, _node(files.dumps.get(_name(one)))) for one in pods]
    pods_first, before = _as_it_was_read(plane, objects, asked, files.dumps)
    after = before
    if applied.changed:
        after = generator.generate(
            plane, applied.objects, asked, applied.services, pods_first=pods_first
        )
    told = {_name(one): _told(_name(one), files.dumps, before, after) for one in pods}
    after_of = _as_changed(files.dumps, after, told)
    return Meshes(
        _inventory(objects, namespaces, _as_it_is(files.dumps, before)),
        _inventory(_with_slices(applied, after), namespaces, after_of),
        told,
        applied,
        [plane.assumed] if plane.assumed else [],
        after_of,
    )


def _as_it_was_read(
    plane: ControlPlane,
    objects: Sequence[Obj],
    asked: Sequence[tuple[Obj, Any]],
    live: Mapping[str, Any],
) -> tuple[bool, Generated]:
    """Return in which order istiod read the objects, and what it generates of them so.

    The order in which more proxies hold what is generated; of two alike, the first.
    """
    found: list[tuple[int, bool, Generated]] = []
    for pods_first in (False, True):
        made = generator.generate(plane, objects, asked, pods_first=pods_first)
        differ = sum(
            bool(gate.differences(live[pod], told))
            for pod, told in made.dumps.items()
            if pod in live
        )
        found.append((differ, pods_first, made))
        if not differ:
            break
    _, order, best = min(found, key=lambda one: one[:2])
    return order, best


def has_proxy(obj: Obj) -> bool:
    """Return whether an object is a pod with a proxy that istiod can be asked for."""
    if obj["kind"] != "Pod" or not interception.has_sidecar(obj):
        return False
    return bool((obj.get("status") or {}).get("podIP")) and not obj["spec"].get("hostNetwork")


def _name(pod: Obj) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _node(live: Any) -> Any:
    """Return what a proxy told istiod of itself, as its bootstrap has it."""
    parts = live["configs"] if live else ()
    return next((part["bootstrap"]["node"] for part in parts if "bootstrap" in part), None)


def _told(pod: str, live: Mapping[str, Any], before: Generated, after: Generated) -> Told:
    """Return how far a proxy is known: the gate."""
    for generated in (before, after):
        if pod not in generated.dumps:
            return Told("unknown", (generated.errors.get(pod, "nothing was generated"),))
    if pod not in live:
        return Told("generated, not held")
    differs = gate.differences(live[pod], before.dumps[pod])
    return Told("unknown", (*differs,)) if differs else Told("held")


def _with_slices(applied: Applied, after: Generated) -> list[Obj]:
    """Return the changed objects, with the EndpointSlices that were made anew."""
    own = {(one["metadata"]["namespace"], _service(one)) for one in after.slices}
    kept = [
        one
        for one in applied.objects
        if one["kind"] != "EndpointSlice"
        or (one["metadata"]["namespace"], _service(one)) not in own
    ]
    return [*kept, *after.slices]


def _service(slice_: Obj) -> str:
    return str((slice_["metadata"].get("labels") or {}).get("kubernetes.io/service-name", ""))


def _inventory(
    objects: Iterable[Obj], namespaces: Sequence[str], read: Callable[[PodRef], Any]
) -> ApiInventory:
    stored = StoredObjects()
    for one in objects:
        stored.add(one)
    return ApiInventory(ApiMesh(stored, read), namespaces)


def _as_it_is(live: Mapping[str, Any], generated: Generated) -> Callable[[PodRef], Any]:
    def read(pod: PodRef) -> Any:
        name = f"{pod.namespace}/{pod.name}"
        found = live.get(name) or generated.dumps.get(name)
        if found is None:
            raise BadEvidence(f"no config dump is of {name}, and none is generated")
        return found

    return read


def _as_changed(
    live: Mapping[str, Any], generated: Generated, told: Mapping[str, Told]
) -> Callable[[PodRef], Any]:
    def read(pod: PodRef) -> Any:
        name = f"{pod.namespace}/{pod.name}"
        if told[name].known == "unknown":
            raise BadEvidence(f"what {name} would hold is unknown: {told[name].why[0]}")
        static = [*_static(live[name])] if name in live else []
        return {"configs": [*static, *generated.dumps[name]["configs"]]}

    return read


_STATIC = ("bootstrap", "static_listeners", "static_clusters", "static_route_configs")


def _static(dump: Any) -> Iterable[Any]:
    """Yield the parts of a live dump that do not come from istiod."""
    for part in dump["configs"]:
        kept = {name: part[name] for name in _STATIC if name in part}
        if kept:
            yield {"@type": part.get("@type", ""), **kept}
