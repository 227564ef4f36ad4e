"""Text as a terminal can show it."""

from __future__ import annotations

import re
import shutil

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """Return the text with `?` for each control character, which a terminal might obey."""
    return _CONTROL.sub("?", text)


def terminal_width() -> int:
    """Return the columns of a table on this terminal: its width, up to what is easy to read."""
    return min(120, shutil.get_terminal_size((100, 24)).columns)
