"""Begins a live run: its folder, its cluster, its progress, and its end."""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clusters import open_cluster
from clusters.base import OwnCluster
from lab.common.errors import ClusterGone, NeedsUnmet
from lab.common.redaction import redact
from lab.common.wait import until
from lab.model import store
from lab.model.failure import Failure
from lab.record import turn
from lab.record.live_run import LiveRun

UP = "up"


def begin(failure: Failure, kind: str, values: dict[str, str]) -> LiveRun:
    """Start a live run, and return it with its worlds deployed and ready.

    Under the runner (LAB_RUN) the runner chooses the folder, and ends the cluster and the run.

    Raises NeedsUnmet when the cluster lacks what the failure needs, and ClusterGone when it
    ended before this began.
    """
    began = begun(failure.name, kind)
    missing = failure.needs - began.cluster.offers()
    if missing:
        raise NeedsUnmet(f"{failure.name} needs {', '.join(sorted(missing))}")
    turn.wait(failure.name)
    live = LiveRun(failure, began.cluster, began.folder, values, began.tell)
    if began.owned:
        atexit.register(live.close)
    live.open()
    return live


@dataclass(frozen=True)
class Begun:
    """A run whose cluster is up; nothing is deployed yet."""

    folder: Path
    """Of one failure, in the run's."""
    cluster: OwnCluster
    tell: Callable[[str], None]
    owned: bool
    """Whether this process removes the run's namespaces when it ends."""


def begun(name: str, kind: str) -> Begun:
    """Begin a run of what has that name, and wait for the cluster. Raises as `begin` does."""
    under_runner = os.environ.get("LAB_RUN")
    run = Path(under_runner) if under_runner else store.new_run()
    folder = run / name
    folder.mkdir(parents=True, exist_ok=True)
    tell = _teller(folder / "progress.log", to_terminal=not under_runner)
    cluster = open_cluster(kind)
    if under_runner:
        _await(cluster)
    else:
        cluster.up(tell, owned=True)
    _ = cluster.kube  # its certificate files are removed at exit: after our namespaces, that is
    return Begun(folder, cluster, tell, not under_runner and not os.environ.get("KEEP"))


def _await(cluster: OwnCluster) -> None:
    """Wait for the cluster that the runner brings up. Raises ClusterGone with what is wrong."""

    def look() -> str:
        return UP if cluster.running() else cluster.trouble()

    told = until(look, "the cluster", timeout=500, every=0.1)
    if told != UP:
        raise ClusterGone(told)


def _teller(path: Path, *, to_terminal: bool) -> Callable[[str], None]:
    """Return a function that writes a line of progress to a file, without secrets."""
    began = time.monotonic()

    def tell(line: str) -> None:
        line = redact(line)
        with path.open("a") as file:
            file.write(f"{line}\n")
        if to_terminal:
            print(f"{time.monotonic() - began:5.1f} s  {line}", file=sys.stderr)

    return tell
