"""The notebooks of a run: each in a process of its own, followed line by line, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.common import files, scratch, signals
from lab.common.shell import how_it_ended
from lab.common.wait import until
from lab.notebook import execute
from lab.notebook.room import Room
from lab.record import turn

PATIENCE = 5.0
"""Seconds in which a notebook that is told to end ends its kernel."""
Say = Callable[[str], None]
OnEnd = Callable[[str], None]


class Notebooks:
    """The notebooks of a run: those that run, one that waits for its turn, and those behind it."""

    def __init__(
        self, names: Sequence[str], place: Place, room: Room, say: Say, on_end: OnEnd
    ) -> None:
        """Prepare them; nothing is started yet."""
        self.started: dict[str, subprocess.Popen[bytes]] = {}
        self._waiting, self._place, self._room = [*names], place, room
        self._say, self._on_end = say, on_end
        self._ended: set[str] = set()
        self._told = dict.fromkeys(names, 0)
        self._over: set[str] = set()

    def start(self) -> None:
        """Give their turn to those for which there is room, and start the next one.

        It can deploy as soon as it is its turn, since its kernel has started by then.
        """
        for name in [*self._waiting]:
            if self._room.take(name):
                self._waiting.remove(name)
                self._start(name)
                turn.give(self._place.private, name)
        if self._waiting:
            self._start(self._waiting[0])
            self._room.make()

    def _start(self, name: str) -> None:
        if name not in self.started:
            self.started[name] = self._place.start(name)

    def follow(self) -> None:
        """Relay each notebook's progress, and start those that wait, until all have ended."""
        if self._waiting:
            self._say(
                f"{', '.join(self._waiting)} wait: {self._room.taken} pods run, "
                f"{self._room.fit} fit at a time"
            )
        until(self._look, "the notebooks", timeout=3600, every=0.05)

    def _look(self) -> bool:
        ended = {name for name, process in self.started.items() if process.poll() is not None}
        for name in self.started:
            self._relay(name)
        for name in ended - self._ended:
            self._on_end(name)
        self._ended = ended
        self._waiting = [name for name in self._waiting if name not in ended]
        for name in self.started.keys() - self._over - {*self._waiting}:
            if name in ended or turn.is_over(self._place.private, name):
                self._over.add(name)
                self._room.ended(name)
        self.start()
        return not self._waiting and len(ended) == len(self.started)

    def _relay(self, name: str) -> None:
        path = self._place.folder / name / "progress.log"
        lines = path.read_text().splitlines() if path.exists() else []
        for line in lines[self._told[name] :]:
            self._say(f"{name}  {line}")
        self._told[name] = len(lines)


@dataclass(frozen=True)
class Place:
    """Where the notebooks of a run write, and with which parameters."""

    folder: Path
    private: Path
    values: dict[str, str]

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start a failure's notebook in a process of its own."""
        place = self.folder / name
        place.mkdir()
        path = execute.NOTEBOOKS / f"{name}.ipynb"
        values = json.dumps(execute.convert(path, self.values))
        arguments = [name, str(place), str(self.private), values]
        with _log(place).open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "lab.notebook.execute", *arguments],
                stdin=subprocess.PIPE,  # never written to: it ends when this process does
                stdout=log,
                stderr=log,
                env={**os.environ, turn.VARIABLE: str(self.private)},
                start_new_session=True,
            )


def _log(place: Path) -> Path:
    return place / "notebook.log"


@contextmanager
def started(
    names: Sequence[str],
    folder: Path,
    values: dict[str, str],
    room: Room,
    say: Say,
    on_end: OnEnd,
) -> Iterator[Notebooks]:
    """Start notebooks, and yield them; afterwards neither they nor their kernels run on.

    room: which of them run at a time. on_end: called with the name of each that has ended.
    """
    with scratch.folder() as private:
        notebooks = Notebooks(names, Place(folder, private, values), room, say, on_end)
        try:
            notebooks.start()
            yield notebooks
        finally:
            with signals.held():
                _end(notebooks.started, folder)


def _end(notebooks: Mapping[str, subprocess.Popen[bytes]], folder: Path) -> None:
    """End all that still run, at once; each ends its kernel. Note which signal ended one."""
    for process in notebooks.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    for name, process in notebooks.items():
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdin:
            process.stdin.close()
        with suppress(OSError):  # on a full disk
            _close(_log(folder / name), process.returncode)


def _close(log: Path, code: int) -> None:
    """Add to its log which signal ended it, if one did, and remove secrets from the log."""
    ended = f"its process {how_it_ended(code)}\n" if code < 0 else ""
    files.write_text(log, log.read_text(errors="replace") + ended)
