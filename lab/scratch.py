"""A run's own temporary folder: it goes with the run, however that ends.

Whoever holds its lock (flock) uses it; the kernel gives that back when the process ends. What
nobody holds any more is removed by whoever makes the next one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "run-"
LOCK = "lock"


@contextmanager
def folder(above: Path) -> Iterator[Path]:
    """A new folder below `above`, which only this user can enter."""
    sweep(above)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=above))
    with (made / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def sweep(above: Path) -> None:
    """Remove the folders of runs that ended without doing so."""
    for lock in above.glob(f"{PREFIX}*/{LOCK}"):
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock.parent, ignore_errors=True)
