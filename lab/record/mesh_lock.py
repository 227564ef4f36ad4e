"""Locks a mesh: runs share it, and a change of the whole mesh is made while no other run uses it.

It also marks which runs use a cluster, so that what a killed run left can be removed. Both are
advisory locks of files (flock), which the kernel releases however a process ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.common import locks
from lab.common.wait import until

PATIENCE = 300.0
"""Seconds to wait for other runs on the cluster."""


class MeshLock:
    """One run's lock on its cluster's mesh."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, -1

    def share(self) -> None:
        """Share the mesh with other runs; waits while one changes it. Raises TimedOut."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._take(fcntl.LOCK_SH, "a change of the whole mesh to be withdrawn")

    def release(self) -> None:
        """Give the lock back: other runs may change the mesh from now on."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the mesh alone, so that it can be changed. Raises TimedOut."""
        self.release()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(fcntl.LOCK_EX, "other runs on this cluster to end")
            yield
        finally:
            self.release()

    def _take(self, kind: int, what: str) -> None:
        def look() -> bool:
            try:
                fcntl.flock(self._file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        until(look, what, timeout=PATIENCE, every=0.1)


@contextmanager
def marked(mesh: Path, run: str, remove: Callable[[str], None]) -> Iterator[None]:
    """Mark a cluster as used by a run while the `with` block runs; first remove killed runs.

    remove: called with the name of each run whose process was killed. mesh: the cluster's lock
    file, beside which the marks lie.
    """
    marks = mesh.with_suffix(".runs")
    for mark in marks.glob("*"):
        with locks.tried(mark) as dead:
            if dead:
                remove(mark.name)
                mark.unlink()
    with locks.held(marks / run):
        try:
            yield
        finally:
            (marks / run).unlink()
