"""Reads files that somebody else may have written: plain files, in their own folder, of a size.

A run's folder can come from anywhere. What is in it may be cut off, a link that leads elsewhere, a
FIFO that nobody writes to, or far too large: each is BadEvidence, in one sentence.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from lab.common.errors import BadEvidence

GZIP_MAGIC = b"\x1f\x8b"
"""First bytes of what gzip compressed (RFC 1952, 2.3.1)."""
LIMIT = 16 << 20
"""Longest file that is read, bytes. The longest that a run was seen to write has 160 thousand."""

UNPACKED = 256 << 20
"""Most bytes that packed data may become. A sidecar that knows 500 clusters has a dump of 5 MB."""


def read_bytes(path: Path, within: Path, limit: int = LIMIT) -> bytes:
    """Return a file's content. Raises BadEvidence for one that is not there or not to be read."""
    require_inside(path, within)
    try:
        # Whoever opens a FIFO waits for its other end, unless told not to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadEvidence(f"{path} is not a regular file")
            data = file.read(limit + 1)
    except OSError as error:
        raise BadEvidence(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise BadEvidence(f"{path} is larger than {limit >> 20} MiB, the most that is read")
    return data


def read_text(path: Path, within: Path) -> str:
    """Return the file as text, as `read_bytes` does; bytes that are not UTF-8 are replaced."""
    return read_bytes(path, within).decode(errors="replace")


def read_json(path: Path, within: Path) -> Any:
    """Return the file as JSON. Raises BadEvidence where it is not JSON or is nested too deeply."""
    try:
        return parse(read_bytes(path, within).decode())
    except ValueError as error:
        raise BadEvidence(f"{path} is damaged: {error}") from None


def read_compressed_json(path: Path, within: Path) -> Any:
    """Return a file's JSON that gzip compressed, as `read_json` does."""
    return parse_compressed_json(read_bytes(path, within), path)


def parse_compressed_json(packed: bytes, path: Path) -> Any:
    """Return the same of a file's content; path: where it lies, for what is raised."""
    try:
        return parse(gunzip(packed).decode())
    except ValueError as error:
        raise BadEvidence(f"{path} is damaged: {error}") from None


def parse(text: str) -> Any:
    """Parse JSON as RFC 8259 defines it. Raises ValueError for all else, such as NaN."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def gunzip(data: bytes, limit: int = UNPACKED) -> bytes:
    """Unpack gzip's data. Raises ValueError where it is cut off, damaged, or becomes too much."""
    try:
        found = gzip.GzipFile(fileobj=io.BytesIO(data)).read(limit + 1)
    except (EOFError, OSError, zlib.error) as wrong:
        raise ValueError(f"it cannot be unpacked: {wrong}") from None
    if len(found) > limit:
        raise ValueError(f"it is larger than {limit >> 20} MiB, the most that is unpacked")
    return found


def require_inside(path: Path, within: Path) -> None:
    """Raise BadEvidence for a path that leads out of a folder, by its name or by a link."""
    try:
        inside = _is_plainly_below(path, within) or Path(os.path.realpath(path)).is_relative_to(
            os.path.realpath(within)
        )
    except (OSError, ValueError) as wrong:
        raise BadEvidence(f"{str(path)!r} is no name of a file: {wrong}") from None
    if not inside:
        raise BadEvidence(f"{path} lies outside the evidence, and is not read")


def _is_plainly_below(path: Path, within: Path) -> bool:
    """Return whether a path leads down from a folder by names alone, which all are there.

    Where one of them is a link or `..`, its end has to be looked up.
    """
    top = f"{within}/"
    if not str(path).startswith(top):
        return False
    at = str(within)
    for name in str(path)[len(top) :].split("/"):
        at = f"{at}/{name}"
        try:
            if name == ".." or stat.S_ISLNK(os.lstat(at).st_mode):
                return False
        except (OSError, ValueError):
            return False
    return True


def is_there(path: Path) -> bool:
    """Tell whether there is anything under this name, be it a link that leads nowhere."""
    return os.path.lexists(path)


def size(path: Path) -> int:
    """Return a file's size in bytes; 0 where there is none. Raises BadEvidence for a link."""
    if path.is_symlink():
        raise BadEvidence(f"{path} is a link, and is not followed")
    return path.lstat().st_size if is_there(path) else 0


def not_plain(folder: str, names: list[str]) -> list[str]:
    """Return a folder's entries that are neither folders nor files, as `ignore` of copytree."""
    plain: tuple[Callable[[int], bool], ...] = (stat.S_ISREG, stat.S_ISDIR)
    modes = {name: (Path(folder) / name).lstat().st_mode for name in names}
    return [name for name, mode in modes.items() if not any(one(mode) for one in plain)]
