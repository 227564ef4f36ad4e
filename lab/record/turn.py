"""When a failure of a run may deploy its pods, and when it needs them no more.

The runner and a notebook's kernel tell each other by files in a folder of the run's own, LAB_TURN.
"""

from __future__ import annotations

import os
from pathlib import Path

from lab.common.wait import until

VARIABLE = "LAB_TURN"
PATIENCE = 3600.0
"""Seconds; the runner ends a notebook that it has given up."""


def give(folder: Path, failure: str) -> None:
    """Let a failure deploy its pods."""
    _given(folder, failure).touch()


def is_over(folder: Path, failure: str) -> bool:
    """Tell whether a failure needs its pods no more."""
    return _over(folder, failure).exists()


def wait(failure: str) -> None:
    """Wait until the runner lets this failure deploy its pods; outside a run there is no turn."""
    folder = os.environ.get(VARIABLE)
    if folder:
        given = _given(Path(folder), failure)
        until(given.exists, f"room for the pods of {failure}", timeout=PATIENCE, every=0.05)


def end(failure: str) -> None:
    """Tell the runner that this failure has made all its calls."""
    folder = os.environ.get(VARIABLE)
    if folder:
        _over(Path(folder), failure).touch()


def _given(folder: Path, failure: str) -> Path:
    return folder / f"{failure}.given"


def _over(folder: Path, failure: str) -> Path:
    return folder / f"{failure}.over"
