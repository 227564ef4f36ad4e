"""What istiod reads of a cluster that runs, and what its proxies hold: nothing is written."""

from __future__ import annotations

from collections.abc import Iterable

from clusters.base import Cluster, Progress
from clusters.existing import Existing
from clusters.kube import ApiError, Obj
from lab.audit.changed import kinds
from lab.audit.fetched import Fetched
from lab.audit.folder import Files, StoredObjects
from lab.predict.cluster import has_own_address
from lab.record.world import reference


def read(cluster: Cluster, progress: Progress) -> Files:
    """Return the objects of a cluster and its proxies' config dumps.

    A proxy that does not answer has no dump, nor has any where the account may ask none.
    """
    objects = StoredObjects()
    for path, kind in kinds.EVERY.items():
        for one in _items(cluster, path):
            objects.add({**one, "apiVersion": kinds.version(path), "kind": kind})
    held = proxies(cluster, objects.items("/api/v1/pods"))
    for why in held.silent.values():
        progress(why)
    return Files(objects, held.dumps)


def proxies(cluster: Cluster, pods: Iterable[Obj]) -> Fetched:
    """Return what the proxies of pods hold, as far as the account may ask them."""
    found = [reference(one) for one in pods if has_own_address(one)]
    return Fetched(
        cluster, [one for one in found if one.has_sidecar and asks_proxies(cluster, one.namespace)]
    )


def asks_proxies(cluster: Cluster, namespace: str = "") -> bool:
    """Return whether the account may read what a namespace's proxies hold; empty: all of them."""
    return not isinstance(cluster, Existing) or bool(cluster.way_to_proxies(namespace))


def _items(cluster: Cluster, path: str) -> list[Obj]:
    """Return a list's objects; none of a kind that the cluster does not have."""
    try:
        return cluster.kube.items(path)
    except ApiError as refused:
        if refused.status != 404:
            raise
        return []
