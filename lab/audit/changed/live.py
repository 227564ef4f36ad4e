"""What istiod reads of a cluster that runs, and what its proxies hold: nothing is written."""

from __future__ import annotations

from pathlib import Path

from clusters import open_cluster
from clusters.base import Cluster, Progress
from clusters.existing import Existing
from clusters.kube import ApiError, Obj
from lab.audit.changed import kinds
from lab.audit.folder import Files, StoredObjects
from lab.common.errors import ClusterGone, CommandFailed
from lab.record import envoy_admin
from lab.record.world import reference


def read(word: str, progress: Progress) -> Files:
    """Return the objects of a cluster and its proxies' config dumps; word: as `--cluster` has it.

    A proxy that does not answer has no dump, nor has any where the account may ask none. Raises
    ClusterGone where the cluster does not run.
    """
    cluster = open_cluster(word)
    if not cluster.running():
        raise ClusterGone(f"no {cluster.kind} cluster is running", hint="istio-lab up")
    objects = StoredObjects()
    for path, kind in kinds.EVERY.items():
        for one in _items(cluster, path):
            objects.add({**one, "apiVersion": kinds.version(path), "kind": kind})
    dumps = {}
    for pod in objects.items("/api/v1/pods"):
        found = reference(pod)
        if found.has_sidecar and asks_proxies(cluster, found.namespace):
            try:
                dumps[Path(found.namespace, found.name)] = envoy_admin.config_dump(cluster, found)
            except CommandFailed as silent:
                progress(str(silent))
    return Files(objects, dumps)


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
