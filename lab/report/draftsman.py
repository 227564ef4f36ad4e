"""Draws a run's figures while the run still goes on, in a process of its own.

Drawing takes seconds at the end of a run, where a person waits for the page. A failure that has
been judged does not change any more, so its figures can be drawn while others make their calls.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from lab.common import forked, signals
from lab.common.errors import BadEvidence, LabError
from lab.report import page
from lab.report.page import Drawn
from lab.report.sections import Shown

PATIENCE = 20.0
"""Seconds for the figures that it is still drawing at the end."""
NICENESS = 10
"""It yields to what the run itself does."""


class Draftsman:
    """Draws what it is told to. What it cannot draw, the page draws itself."""

    def __init__(self, ours: Connection | None) -> None:
        self._ours = ours

    def draw(self, failure: str) -> None:
        """Draw a failure's figures, in the background."""
        if self._ours:
            with suppress(OSError):
                self._ours.send(failure)

    def drawn(self) -> Drawn:
        """Return all that was drawn; nothing is drawn afterwards."""
        ours, self._ours = self._ours, None
        found: Drawn = {}
        if ours:
            with suppress(OSError, EOFError), ours:
                ours.send("")
                if ours.poll(PATIENCE):
                    found = ours.recv()
        return found


@contextmanager
def started(folder: Path) -> Iterator[Draftsman]:
    """Start it for a run's folder; it ends with the block, and with this process at the latest.

    Where forking is not safe there is none. Call it before anything is opened that must not
    outlive this process.
    """
    if threading.active_count() > 1:
        yield Draftsman(None)
        return
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(folder, ours, theirs), daemon=True)
    draftsman = Draftsman(ours)
    try:
        with signals.held(), signals.blocked():
            process.start()
        theirs.close()
        yield draftsman
    finally:
        draftsman.drawn()
        process.terminate()
        process.join()
        process.close()


def _serve(folder: Path, ours: Connection, theirs: Connection) -> None:
    ours.close()  # else it would not notice that the other process has ended
    forked.leave_signals_to_the_parent()
    os.nice(NICENESS)
    found: dict[tuple[str, str], Shown | None] = {}
    with suppress(EOFError, OSError):
        while name := theirs.recv():
            with suppress(LabError, BadEvidence):
                found |= page.draw(folder, name)
        theirs.send(found)
