"""A temporary folder of one user alone: it goes with whoever made it, however that ends.

Whoever holds its lock uses it, and the kernel gives that back when the process ends. What
nobody holds any more is removed by whoever makes the next one.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.common import locks
from lab.common.errors import NeedsUnmet

PREFIX = "s-"
LOCK = "lock"


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a new folder, short enough for a socket's path, that only this user can enter."""
    sweep()
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=states()))
    with locks.held(made / LOCK):
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def until_exit() -> Path:
    """Return such a folder that goes when this process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(folder())


def sweep() -> None:
    """Remove the folders of runs that were killed."""
    for lock in states().glob(f"{PREFIX}*/{LOCK}"):
        with locks.tried(lock) as alone:
            if alone:
                shutil.rmtree(lock.parent, ignore_errors=True)


def states() -> Path:
    """Return the folder of all embedded clusters of this user; short, since sockets' paths are."""
    base = Path(tempfile.gettempdir()) / f"istio-failure-lab-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    info = base.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise NeedsUnmet(f"{base} belongs to someone else", hint="set TMPDIR to a folder of yours")
    base.chmod(0o700)
    return base
