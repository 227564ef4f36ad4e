"""The notebooks of a run: each in a process of its own, followed line by line, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.common import files, scratch, signals
from lab.common.shell import how_it_ended
from lab.common.wait import until
from lab.notebook import execute

Notebooks = dict[str, subprocess.Popen[bytes]]
PATIENCE = 5.0
"""Seconds in which a notebook that is told to end ends its kernel."""


@contextmanager
def started(names: Sequence[str], folder: Path, values: dict[str, str]) -> Iterator[Notebooks]:
    """Start notebooks, and yield them; afterwards neither they nor their kernels run on."""
    running: Notebooks = {}
    with scratch.folder() as private:
        try:
            for name in names:
                running[name] = _start(name, folder, private, values)
            yield running
        finally:
            with signals.held():
                _end(running, folder)


def _start(
    name: str, folder: Path, private: Path, values: dict[str, str]
) -> subprocess.Popen[bytes]:
    place = folder / name
    place.mkdir()
    path = execute.NOTEBOOKS / f"{name}.ipynb"
    arguments = [name, str(place), str(private), json.dumps(execute.convert(path, values))]
    with _log(place).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lab.notebook.execute", *arguments],
            stdin=subprocess.PIPE,  # never written to: it ends when this process does
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _log(place: Path) -> Path:
    return place / "notebook.log"


def follow(notebooks: Notebooks, folder: Path, say: Callable[[str], None]) -> None:
    """Relay each notebook's progress until all have ended."""
    told = dict.fromkeys(notebooks, 0)

    def look() -> bool:
        ended = all(process.poll() is not None for process in notebooks.values())
        for name in notebooks:
            path = folder / name / "progress.log"
            lines = path.read_text().splitlines() if path.exists() else []
            for line in lines[told[name] :]:
                say(f"{name}  {line}")
            told[name] = len(lines)
        return ended

    until(look, "the notebooks", timeout=3600, every=0.05)


def _end(notebooks: Notebooks, folder: Path) -> None:
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
