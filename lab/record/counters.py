"""What the proxies of a world count while a call is made."""

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
"""Connections, handshakes and refusals, of listeners and clusters alike."""
OWN = re.compile(r"listener\.(admin|[\d.]+_15021)\.|\.(worker_\d+|main_thread)\.")
"""What asking and probes count, and what is counted for each thread once more."""

Rose = dict[str, dict[str, int]]
"""Workload -> counter -> by how much it rose."""


class Counters:
    """The counters of a world's proxies: read before a call where they are not known, and after.

    Asking takes longer than most calls, so only those are asked whose word is used.
    """

    def __init__(self, cluster: Cluster, live: LiveWorld) -> None:
        self._cluster, self._live = cluster, live
        self._known = self._read(name for name, pod in live.pods.items() if pod.has_sidecar)

    @contextmanager
    def of(self, asked: Collection[str], others: Collection[str]) -> Iterator[Rose]:
        """By how much the counters of `asked` rise within; empty until it is left.

        others: whoever else takes part, whose counters are no longer known then. Where one cannot
        be asked none is told of.
        """
        rose: Rose = {}
        ends = {name for name in asked if self._live.pods[name].has_sidecar}
        try:
            self._known |= self._read(ends - self._known.keys())
            before = {name: self._known[name] for name in ends if _tells(self._known[name])}
        except LabError:
            before = {}
        for name in (*asked, *others):
            self._known.pop(name, None)
        yield rose
        with suppress(LabError):
            now = self._read(before)
            self._known |= now
            rose |= {name: _risen(before[name], counted) for name, counted in now.items()}

    def forget(self) -> None:
        """What is known is no longer: others than calls were served meanwhile."""
        self._known.clear()

    def _read(self, workloads: Iterable[str]) -> dict[str, dict[str, int]]:
        names = sorted(set(workloads))
        if len(names) < 2:
            return {name: self._of(name) for name in names}
        with ThreadPoolExecutor(len(names)) as pool:
            return dict(zip(names, pool.map(self._of, names), strict=True))

    def _of(self, workload: str) -> dict[str, int]:
        counted = envoy_admin.stats(self._cluster, self._live.pods[workload], KEPT)
        return {name: count for name, count in counted.items() if not OWN.search(name)}


def _tells(counted: dict[str, int]) -> bool:
    """Whether a proxy keeps these counters at all: Istio's default leaves them out."""
    return any(name.endswith("downstream_cx_total") for name in counted)


def _risen(before: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    rose = {name: count - before.get(name, 0) for name, count in now.items()}
    return {name: by for name, by in rose.items() if by}
