"""Where a failure's file writes a value: for what is said of it when it is wrong."""

from __future__ import annotations

import sys
from types import FrameType

_OWN = ("lab.model", "lab.declare", "dataclasses")


class Declared:
    """A value that knows the line it was written at. The line is no field: it is not compared."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_line", _caller())

    @property
    def line(self) -> str:
        """Return `path/of/file.py:12`: where the value was made."""
        line: str = getattr(self, "_line", "")
        return line


def _caller() -> str:
    """Return the line outside of lab.model and lab.declare that makes a value.

    In a function of a failure's file it is the line that calls the function.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame and str(frame.f_globals.get("__name__")).startswith(_OWN):
        frame = frame.f_back
    if frame is None:
        return ""
    file, line = frame.f_code.co_filename, frame.f_lineno
    while frame and frame.f_code.co_filename == file:
        line, frame = frame.f_lineno, frame.f_back
    return f"{file}:{line}"
