"""What the proxies of a world count while a call is made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from clusters.base import Cluster
from lab import proxy
from lab.errors import LabError
from lab.world import LiveWorld

KEPT = (
    "(ssl\\.(handshake|no_certificate|connection_error|fail_verify_[a-z_]*)"
    "|no_filter_chain_match|_cx_total)$"
)
"""Connections, handshakes and refusals, of listeners and clusters alike."""
OWN = re.compile(r"listener\.(admin|[\d.]+_15021)\.|\.(worker_\d+|main_thread)\.")
"""What asking and probes count, and what is counted for each thread once more."""


class Counters:
    """The counters of a world's proxies, read when a call has ended and not before the next."""

    def __init__(self, cluster: Cluster, live: LiveWorld) -> None:
        self._cluster, self._live = cluster, live
        self._known = self._read(name for name, pod in live.pods.items() if pod.has_sidecar)

    def rose(self, workloads: Iterable[str]) -> dict[str, dict[str, int]]:
        """By how much each of these workloads' counters rose since they were last read.

        Where one cannot be asked none is told of: not now, and not of the call after.
        """
        before = {name: self._known.pop(name) for name in set(workloads) if name in self._known}
        try:
            now = self._read(before)
        except LabError:
            return {}
        self._known |= now
        return {name: _risen(before[name], counted) for name, counted in now.items()}

    def _read(self, workloads: Iterable[str]) -> dict[str, dict[str, int]]:
        names = sorted(set(workloads))
        with ThreadPoolExecutor(len(names) or 1) as pool:
            return dict(zip(names, pool.map(self._of, names), strict=True))

    def _of(self, workload: str) -> dict[str, int]:
        counted = proxy.stats(self._cluster, self._live.pods[workload], KEPT)
        return {name: count for name, count in counted.items() if not OWN.search(name)}


def _risen(before: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    rose = {name: count - before.get(name, 0) for name, count in now.items()}
    return {name: by for name, by in rose.items() if by}
