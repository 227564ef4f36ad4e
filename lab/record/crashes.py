"""Finds a container that will not come up: it ends again and again in the same way."""

from __future__ import annotations

from typing import Any

from clusters.base import Cluster
from clusters.kube import Obj
from lab.common.errors import CommandFailed, LabError
from lab.record.world import reference

TIMES = 3
"""As often as a container must have ended alike, so that nothing more is waited for."""
LINES = 6
"""How many of its last lines are told."""


class Crashes:
    """What ended in the pods of one namespace, over several looks at them."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], dict[int, int]] = {}

    def look(self, pods: list[Obj]) -> tuple[Obj, str, int] | None:
        """Return a pod, its container that has ended three times alike, and the exit code."""
        for pod in pods:
            for status in statuses(pod):
                code = exit_code(status)
                if code is None:
                    continue
                key = (str(pod["metadata"]["name"]), str(status["name"]))
                ended = int(status["restartCount"]) + ("running" not in status["state"])
                seen = self._codes.setdefault(key, {})
                seen[ended] = code
                if ended >= TIMES and len(set(seen.values())) == 1 and not status.get("ready"):
                    return pod, key[1], code
        return None


def statuses(pod: Obj) -> list[dict[str, Any]]:
    """Return the statuses of a pod's containers, those of its start first."""
    keys = ("initContainerStatuses", "containerStatuses")
    return [status for key in keys for status in pod["status"].get(key, [])]


def exit_code(status: dict[str, Any]) -> int | None:
    """Return the code with which a container ended last; None where it has not ended."""
    for state in (status["state"], status.get("lastState") or {}):
        if "terminated" in state:
            return int(state["terminated"]["exitCode"])
    return None


def error(cluster: Cluster, pod: Obj, container: str, code: int) -> LabError:
    """Return what is told of a container that does not come up: its end, and its last words."""
    meta = pod["metadata"]
    where = f"container {container} of pod {meta['name']} in {meta['namespace']}"
    told = f"{where} has ended {TIMES} times with code {code}, so it is not waited for any longer"
    try:
        words = cluster.logs(reference(pod), container).strip().splitlines()[-LINES:]
    except (CommandFailed, LabError, KeyError) as unread:
        words = [f"(its log cannot be read: {unread})"]
    return LabError(
        f"{told}. It said last: {' | '.join(words) or 'nothing'}",
        hint=f"kubectl logs -n {meta['namespace']} {meta['name']} -c {container} --previous",
    )
