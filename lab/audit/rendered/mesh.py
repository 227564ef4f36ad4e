"""The mesh that manifests would be: each workload as one pod, its proxy by istiod's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusters.base import PodRef, Progress
from clusters.kube import Obj
from lab.audit.api import ApiInventory
from lab.audit.changed import generator
from lab.audit.changed.meshes import has_proxy
from lab.audit.folder import StoredObjects
from lab.audit.rendered import completed
from lab.common.errors import BadArguments, BadEvidence
from lab.predict.cluster import ApiMesh


@dataclass(frozen=True)
class Rendered:
    """A mesh out of manifests."""

    inventory: ApiInventory
    pods: Mapping[str, str]
    """Each pod with a proxy -> why its configuration is not known; empty: it is generated."""
    assumed: Sequence[str]
    """What the manifests do not tell, in sentences."""
    read: Callable[[PodRef], Any]
    """Returns what a pod's proxy would hold. Raises BadEvidence where that is unknown."""


def of(
    given: Iterable[Obj], namespaces: Sequence[str], *, now: str, progress: Progress
) -> Rendered:
    """Return the mesh of manifests, as it would be where they were applied to an empty cluster.

    now: when that is, as the API writes times. Raises BadArguments where there is no workload.
    """
    plane = completed.default_plane()
    generator.build(plane, progress)
    made = completed.complete(given, plane, now)
    proxied = [one for one in made.objects if has_proxy(one) and _name(one) not in made.refused]
    if not any(one["kind"] == "Pod" for one in made.objects):
        raise BadArguments(
            "neither a workload nor a config dump of a proxy is among the files",
            hint="manifests of a Deployment or of another workload; or istioctl proxy-config all "
            "POD -n NAMESPACE -o json > FILE",
        )
    progress(f"generating the configuration of {len(proxied)} proxies")
    told = generator.generate(plane, made.objects, [(one, None) for one in proxied], made.services)

    unknown = {name: f"no sidecar can be injected: {why}" for name, why in made.refused.items()}
    for name in map(_name, proxied):
        if name not in told.dumps:
            unknown[name] = told.errors.get(name, "istiod told it nothing")

    def read(pod: PodRef) -> Any:
        name = f"{pod.namespace}/{pod.name}"
        if name in unknown:
            raise BadEvidence(f"what {name} would hold is unknown: {unknown[name]}")
        return told.dumps[name]

    stored = StoredObjects()
    for one in (*made.objects, *told.slices):
        stored.add(one)
    return Rendered(
        ApiInventory(ApiMesh(stored, read), namespaces),
        {**dict.fromkeys(told.dumps, ""), **unknown},
        made.assumed,
        read,
    )


def _name(pod: Obj) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
