"""What somebody may have meant by a name that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def meant(word: str, known: Iterable[str]) -> str:
    """`did you mean X? ` for the nearest known name; nothing where none is near."""
    near = difflib.get_close_matches(word, list(known), 1, 0.4)
    return f"did you mean {near[0]}? " if near else ""
