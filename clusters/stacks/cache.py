"""Where built things are kept, by content: a folder is complete, or it is not there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.common.errors import LabError

MANIFEST = "manifest.json"
COMPILED = "compiled"
"""The folder in which Go keeps what it has compiled, gigabytes of it."""
_USED = "trim.txt"
"""A file that Go writes there whenever it builds, once a day at most."""
COMPILED_UNUSED = 5 * 86400
"""Seconds without a build after which that folder goes; Go keeps a single package as long."""
UNUSED = 30 * 86400
"""Seconds after which what nobody has asked for goes, once something new is made."""


def root() -> Path:
    """Return LAB_CACHE, else istio-failure-lab below the user's cache folder."""
    own = os.environ.get("LAB_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "istio-failure-lab"


def compiled() -> Path:
    """Return the folder for what Go compiles, marked as in use."""
    folder = root() / COMPILED
    with contextlib.suppress(FileNotFoundError):
        os.utime(folder / _USED)
    return folder


def key(*parts: bytes) -> str:
    """Return a short name for some content."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]


def obtain(folder: Path, make: Callable[[Path], None], progress: Callable[[str], None]) -> None:
    """Have `folder`: as it is, or made by `make` in a place beside it and then moved.

    One process makes it; others wait for that one. What a dead one left is removed, and so is
    what was last asked for a month ago: a new release of anything makes new folders.
    """
    if (folder / MANIFEST).exists():
        with contextlib.suppress(OSError):  # somebody else's, to read only
            os.utime(folder / MANIFEST)
        _drop(folder.parent / COMPILED / _USED, COMPILED_UNUSED)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(folder, progress):
        if (folder / MANIFEST).exists():
            return
        beside = folder.with_name(f"{folder.name}.making")
        remove(beside)
        beside.mkdir()
        try:
            make(beside)
            hashes = {path.relative_to(beside).as_posix(): sha256(path) for path in _files(beside)}
            (beside / MANIFEST).write_text(json.dumps(hashes, indent=1, sort_keys=True))
            remove(folder)
            beside.rename(folder)
            _drop_unused(folder.parent)
        finally:
            remove(beside)


def _drop_unused(root: Path) -> None:
    for manifest in root.glob(f"*/{MANIFEST}"):
        _drop(manifest, UNUSED)


def _drop(mark: Path, seconds: int) -> None:
    """Remove a file's folder if the file is older than this, and where it may be removed."""
    with contextlib.suppress(OSError):
        if time.time() - mark.stat().st_mtime > seconds:
            remove(mark.parent)


@contextlib.contextmanager
def _only_one(folder: Path, progress: Callable[[str], None]) -> Iterator[None]:
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that builds the same")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def verify(folder: Path) -> None:
    """Compare every file with what it was when it was made.

    Raises LabError that names the first altered or missing file.
    """
    hashes: dict[str, str] = json.loads((folder / MANIFEST).read_text())

    def wrong(entry: tuple[str, str]) -> str:
        path = folder / entry[0]
        return "" if path.exists() and sha256(path) == entry[1] else entry[0]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        altered = [name for name in pool.map(wrong, hashes.items()) if name]
    if altered:
        raise LabError(
            f"{folder / altered[0]} was changed or removed after it was built",
            hint=f"remove {folder} and start again; it will be built again",
        )


def sha256(path: Path) -> str:
    """Return a file's digest, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(folder: Path) -> None:
    """Remove a tree, Go's read-only module cache in it too."""
    if not folder.exists():
        return
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)
    shutil.rmtree(folder)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
