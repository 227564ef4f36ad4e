"""Containers' output as `kubectl logs` asks for it.

A container writes to its file by itself, without a process in between. So when it wrote is known by
how its file grew, to half a second.
"""

from __future__ import annotations

import bisect
import datetime
import io
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

EVERY = 0.5
"""Seconds between two looks at how far the files have grown."""
CHUNK = 65536


class LogTimes:
    """When each part of each log was written."""

    def __init__(self) -> None:
        self._marks: dict[Path, tuple[list[int], list[float]]] = {}
        threading.Thread(target=self._look, daemon=True, name="log-times").start()

    def watch(self, path: Path) -> None:
        """Note from now on how a log grows, until it is removed."""
        self._marks.setdefault(path, ([0], [time.time()]))

    def written(self, path: Path, offset: int) -> float:
        """Return when the byte at `offset` had been written: Unix time, seconds."""
        sizes, times = self._marks.get(path, ([], []))
        index = bisect.bisect_right(sizes, offset)
        return times[index] if index < len(times) else time.time()

    def size_at(self, path: Path, moment: float) -> int:
        """Return how long a log was at `moment` (Unix time, seconds)."""
        sizes, times = self._marks.get(path, ([], []))
        index = bisect.bisect_right(times, moment)
        return sizes[index - 1] if index else 0

    def _look(self) -> None:
        never = threading.Event()
        while not never.wait(EVERY):
            now = time.time()
            for path, (sizes, times) in list(self._marks.items()):
                try:
                    size = path.stat().st_size
                except FileNotFoundError:
                    del self._marks[path]
                    continue
                if size != sizes[-1]:
                    times.append(now)  # first: who reads looks a size's time up
                    sizes.append(size)


@dataclass(frozen=True)
class Wanted:
    """Which part of a log, and how it is shown (core/v1 PodLogOptions)."""

    previous: bool = False
    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None
    """Unix time, seconds."""
    limit: int | None = None
    """Bytes."""

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> Wanted:
        """Read a query such as the API server sends. Raises ValueError for what is no number."""
        since = None
        if "sinceSeconds" in query:
            since = time.time() - int(query["sinceSeconds"])
        elif "sinceTime" in query:
            since = datetime.datetime.fromisoformat(query["sinceTime"]).timestamp()
        return cls(
            previous=query.get("previous") == "true",
            follow=query.get("follow") == "true",
            timestamps=query.get("timestamps") == "true",
            tail=int(query["tailLines"]) if "tailLines" in query else None,
            since=since,
            limit=int(query["limitBytes"]) if "limitBytes" in query else None,
        )


def read(
    path: Path, wanted: Wanted, times: LogTimes, over: Callable[[int], bool]
) -> Iterator[bytes]:
    """Return what is asked for of a log; where it begins is settled before this returns.

    over: waits until the log is longer than the given size; true when it will not grow any more.
    """
    log = path.open("rb")
    _seek(log, path, wanted, times)
    parts = _parts(log, wanted, over)
    if wanted.timestamps:
        parts = _stamped(parts, path, times)
    return _limited(parts, wanted.limit)


def _limited(parts: Iterator[tuple[int, bytes]], limit: int | None) -> Iterator[bytes]:
    left = limit
    for _, data in parts:
        yield data if left is None else data[:left]
        if left is not None:
            left -= len(data)
            if left <= 0:
                return


def _seek(log: BinaryIO, path: Path, wanted: Wanted, times: LogTimes) -> None:
    """Go to where what is asked for begins."""
    if wanted.since is not None:
        log.seek(max(0, times.size_at(path, wanted.since) - 1))
        if log.tell():
            log.readline()  # the rest of a line that had begun before
    if wanted.tail is not None:
        start = log.tell()
        lines = deque(log, wanted.tail)
        log.seek(max(start, log.tell() - sum(map(len, lines))))


def _parts(
    log: BinaryIO, wanted: Wanted, over: Callable[[int], bool]
) -> Iterator[tuple[int, bytes]]:
    """Yield parts of a log, from where it stands, with the offset of each."""
    with log:
        while True:
            offset = log.tell()
            data = log.read(CHUNK)
            if data:
                yield offset, data
            elif not wanted.follow:
                return
            elif over(offset):
                data = log.read()  # what was written last is read even when its file has gone
                if data:
                    yield offset, data
                return


def _stamped(
    parts: Iterator[tuple[int, bytes]], path: Path, times: LogTimes
) -> Iterator[tuple[int, bytes]]:
    """Put before each line when it was written."""
    begins = True
    for offset, data in parts:
        at, shown = offset, []
        for line in io.BytesIO(data):  # `splitlines` would split at a carriage return too
            if begins:
                moment = datetime.datetime.fromtimestamp(times.written(path, at), datetime.UTC)
                shown.append(f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z ".encode())
            shown.append(line)
            at += len(line)
            begins = line.endswith(b"\n")
        yield offset, b"".join(shown)
