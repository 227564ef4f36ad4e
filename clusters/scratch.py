"""A temporary folder of one user alone: it goes with whoever made it, however that ends.

Whoever holds its lock uses it, and the kernel gives that back when the process ends. What
nobody holds any more is removed by whoever makes the next one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusters import locks
from clusters.embedded import host

PREFIX = "s-"
LOCK = "lock"


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder, short enough for a socket's path, that only this user can enter."""
    sweep()
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=host.states()))
    with locks.held(made / LOCK):
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def sweep() -> None:
    """Remove the folders of runs that were killed."""
    for lock in host.states().glob(f"{PREFIX}*/{LOCK}"):
        with locks.tried(lock) as alone:
            if alone:
                shutil.rmtree(lock.parent, ignore_errors=True)
