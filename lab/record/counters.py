"""Reads what the proxies of a world count while a call is made."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from clusters.base import Cluster
from lab.common.errors import LabError
from lab.record import envoy_admin
from lab.record.world import LiveWorld

KEPT = (
    "(ssl\\.(handshake|no_certificate|connection_error|fail_verify_[a-z_]*)"
    "|no_filter_chain_match|_cx_total)$"
)
"""Names of counters: connections, handshakes, refusals, of listeners and of clusters."""
OWN = re.compile(r"listener\.(admin|[\d.]+_15021)\.|\.(worker_\d+|main_thread)\.")
"""Names left out: what our own requests and probes raise, and counts of single threads."""

Increases = dict[str, dict[str, int]]
"""Workload -> counter -> by how much it rose."""


class Counters:
    """The counters of a world's proxies, read before a call where they are not known, and after.

    Reading takes longer than most calls, so only the proxies whose counters are used are read.
    """

    def __init__(self, cluster: Cluster, live: LiveWorld) -> None:
        self._cluster, self._live = cluster, live
        self._known = self._read(name for name, pod in live.pods.items() if pod.has_sidecar)

    @contextmanager
    def increases(self, asked: Collection[str], others: Collection[str]) -> Iterator[Increases]:
        """Count what rises in the proxies of `asked` while the `with` block runs.

        Yields a dictionary that is filled when the block is left; it stays empty where one of the
        proxies cannot be read. others: workloads that take part too, whose counters are no longer
        known afterwards.
        """
        increases: Increases = {}
        ends = {name for name in asked if self._live.pods[name].has_sidecar}
        try:
            self._known |= self._read(ends - self._known.keys())
            before = {name: self._known[name] for name in ends if _keeps_them(self._known[name])}
        except LabError:
            before = {}
        for name in (*asked, *others):
            self._known.pop(name, None)
        yield increases
        with suppress(LabError):
            now = self._read(before)
            self._known |= now
            increases |= {name: _increase(before[name], counted) for name, counted in now.items()}

    def forget(self) -> None:
        """Discard what was read before, since proxies served more than calls meanwhile."""
        self._known.clear()

    def _read(self, workloads: Iterable[str]) -> dict[str, dict[str, int]]:
        names = sorted(set(workloads))
        if len(names) < 2:
            return {name: self._read_one(name) for name in names}
        with ThreadPoolExecutor(len(names)) as pool:
            return dict(zip(names, pool.map(self._read_one, names), strict=True))

    def _read_one(self, workload: str) -> dict[str, int]:
        counted = envoy_admin.stats(self._cluster, self._live.pods[workload], KEPT)
        return {name: count for name, count in counted.items() if not OWN.search(name)}


def _keeps_them(counted: dict[str, int]) -> bool:
    """Return whether a proxy keeps these counters: Istio's default leaves them out."""
    return any(name.endswith("downstream_cx_total") for name in counted)


def _increase(before: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    by_counter = {name: count - before.get(name, 0) for name, count in now.items()}
    return {name: by for name, by in by_counter.items() if by}
