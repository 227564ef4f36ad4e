"""What somebody may have meant by a name that there is not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def meant(word: str, known: Iterable[str]) -> str:
    """Return `did you mean X? ` for the nearest known name; nothing where none is near."""
    near = difflib.get_close_matches(word, list(known), 1, 0.4)
    return f"did you mean {near[0]}? " if near else ""


def meant_version(version: str, known: Iterable[str]) -> str:
    """Do the same for versions, by their numbers: 1.38.2 is nearer to 1.38.1 than 1.39.1 is."""
    wanted = _numbers(version)
    near = min(known, key=lambda one: _apart(_numbers(one), wanted))
    return f"did you mean {near}? " if wanted else ""


def _apart(one: list[int], other: list[int]) -> list[int]:
    return [abs(a - b) for a, b in zip(one, other, strict=False)]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
