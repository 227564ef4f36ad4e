"""Text as a terminal can show it."""

from __future__ import annotations

import re
import shutil

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """The text without what a terminal would take for a command, or could not show."""
    return _CONTROL.sub("?", text)


def terminal_width() -> int:
    """Columns of a table on this terminal: as wide as it is, and no wider than one reads."""
    return min(120, shutil.get_terminal_size((100, 24)).columns)
