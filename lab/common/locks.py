"""Locks between the lab's processes: files that the kernel unlocks however a process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def held(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Wait for a file's lock and hold it. Its only holder may remove the file and its folder."""
    while (lock := _open(path, kind)) is None:
        pass  # it was removed while we waited: there is a new one now
    try:
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def tried(path: Path) -> Iterator[bool]:
    """Hold a file's lock alone if nobody holds it now; yield whether it is held."""
    lock = taken(path)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def taken(path: Path) -> int | None:
    """Return a file that is locked now, to be closed or inherited; None where it was locked."""
    try:
        return _open(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None


def _open(path: Path, kind: int) -> int | None:
    """Return the locked file's descriptor; None where its last holder has just removed it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, kind)
        there = os.fstat(lock).st_nlink > 0
    except BaseException:
        os.close(lock)
        raise
    if there:
        return lock
    os.close(lock)
    return None
