"""Waits for a Job, and tells how the containers of its pod are."""

from __future__ import annotations

from dataclasses import dataclass

from clusters.base import Cluster
from clusters.kube import Obj
from lab.common.errors import TimedOut
from lab.common.wait import until

STARTED_WITHIN = 60.0
"""Seconds within which a Job's own containers have started and ended."""
COMPLETE_WITHIN = 15.0
"""Seconds after that within which the Job is complete. A sidecar that ends with them is killed
after the pod's grace period, which is one second here."""


@dataclass(frozen=True)
class Waited:
    """How a Job was when it was complete, or when it was given up."""

    outcome: str = "error"
    said: str = ""
    """Of its containers: `job ended with 0, istio-proxy is running`."""
    lost: str = ""
    """Why that is not known; empty: it is."""


def wait(cluster: Cluster, namespace: str, name: str) -> Waited:
    """Wait for a Job. Its outcome is `answered` where it is complete, `hang` where it is not.

    It hangs where its own containers have ended with 0 and it is not complete `COMPLETE_WITHIN`.
    """
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"

    def pod() -> Obj:
        query = {"labelSelector": f"job-name={name}"}
        found = cluster.kube.items(f"/api/v1/namespaces/{namespace}/pods", query)
        return found[0] if found else {}

    def complete() -> bool:
        job = next(one for one in cluster.kube.items(path) if one["metadata"]["name"] == name)
        conditions = job.get("status", {}).get("conditions", [])
        return any((one["type"], one["status"]) == ("Complete", "True") for one in conditions)

    what = f"Job {name} of {namespace}"
    try:
        until(lambda: own_ended(pod()), f"the end of {what}", timeout=STARTED_WITHIN, every=0.1)
    except TimedOut as late:
        return Waited(lost=f"{late}: {containers(pod()) or 'it has no pod'}")
    try:
        until(complete, f"{what} to be complete", timeout=COMPLETE_WITHIN, every=0.1)
    except TimedOut:
        return Waited("hang", containers(pod()))
    return Waited("answered", containers(pod()))


def own_ended(pod: Obj) -> bool:
    """Tell whether a pod's containers, its proxy aside, have ended with 0."""
    found = [one for one in _statuses(pod, "containerStatuses") if one["name"] != "istio-proxy"]
    codes = [one["state"].get("terminated", {}).get("exitCode") for one in found]
    return bool(codes) and all(code == 0 for code in codes)


def containers(pod: Obj) -> str:
    """Return how a pod's containers are, those that only prepare it aside."""
    proxies = [
        one for one in _statuses(pod, "initContainerStatuses") if one["name"] == "istio-proxy"
    ]
    return ", ".join(map(_told, [*_statuses(pod, "containerStatuses"), *proxies]))


def _statuses(pod: Obj, which: str) -> list[Obj]:
    found: list[Obj] = pod.get("status", {}).get(which, [])
    return found


def _told(status: Obj) -> str:
    state = status["state"]
    if ended := state.get("terminated"):
        return f"{status['name']} ended with {ended['exitCode']}"
    return f"{status['name']} is {next(iter(state), 'unknown')}"
