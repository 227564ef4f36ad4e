"""Keeps what the containers of a world logged, once their logs have stopped growing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from clusters.base import Cluster, PodRef
from lab.common import files
from lab.common.errors import TimedOut
from lab.common.wait import until
from lab.planes import log
from lab.record.world import LiveWorld

PATIENCE = 3.0
"""Seconds to wait for a line of a proxy that does not write its lines at once."""


def keep(cluster: Cluster, live: LiveWorld, folder: Path) -> list[str]:
    """Write the JSON lines of all containers of a world's pods; call it when all calls have ended.

    Returns what could not be kept, and why.
    """
    kept: dict[str, Future[None]] = {}
    with ThreadPoolExecutor(2 * len(live.pods)) as pool:
        for workload, pod in live.pods.items():
            name = f"{live.world.name}-{workload}"
            own = [one for one in pod.containers if one != "istio-proxy"]
            if pod.has_sidecar:
                path = folder / f"{name}.jsonl"
                kept[path.name] = pool.submit(_keep, cluster, pod, ["istio-proxy"], path)
            path = folder / f"{name}.app.jsonl"
            kept[path.name] = pool.submit(_keep, cluster, pod, own, path)
    return [f"log {name}: {problem}" for name, one in kept.items() if (problem := one.exception())]


def keep_since(cluster: Cluster, live: LiveWorld, workload: str, folder: Path, since: str) -> None:
    """Write what a pod's proxy logged in the lab's format since a time (ISO 8601, UTC).

    For pods that are not the lab's: nothing else of their logs is kept. A proxy writes its lines
    once a second by default; no file is written where no line comes within PATIENCE.
    """
    kept: list[str] = []

    def look() -> list[str]:
        text = cluster.logs(live.pods[workload], "istio-proxy")
        lines = text.splitlines()
        ours = (one for one in log.parse(text) if str(one.get("start_time")) >= since)
        kept[:] = [lines[one[log.NUMBER] - 1] for one in ours]
        return kept

    with contextlib.suppress(TimedOut):
        until(look, f"a line of {workload}'s proxy", timeout=PATIENCE, every=0.1)
    _write(folder / f"{live.world.name}-{workload}.jsonl", kept)


def _keep(cluster: Cluster, pod: PodRef, containers: list[str], path: Path) -> None:
    texts = [settled(cluster, pod, container) for container in containers]
    _write(path, [line for text in texts for line in text.splitlines() if line.startswith("{")])


def _write(path: Path, lines: list[str]) -> None:
    if lines:
        files.write_text(path, "\n".join(lines) + "\n")


def settled(
    cluster: Cluster,
    pod: PodRef,
    container: str,
    *,
    timeout: float = 30.0,
    every: float = 0.08,
    awaited: Sequence[str] = (),
) -> str:
    """Return a log once it has stopped growing: proxies flush their lines every 50 ms.

    timeout: seconds to wait for that. every: seconds between two looks, of which three are alike.
    awaited: words of lines that are still to come; where they do not come within PATIENCE, the log
    is returned without them.
    """
    seen: list[str] = []
    latest = time.monotonic() + PATIENCE

    def look() -> str:
        seen.append(cluster.logs(pod, container))
        same = len(seen) > 2 and len({*seen[-3:]}) == 1
        whole = time.monotonic() > latest or all(word in seen[-1] for word in awaited)
        return "same" if same and whole else ""

    until(look, f"the log of {pod.name} to settle", timeout=timeout, every=every)
    return seen[-1]
