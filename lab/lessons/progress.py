"""What a learner did, in one file of their own."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.common import decode, files
from lab.common.errors import BadEvidence
from lab.notebook import execute

FILE = "lessons.json"
VARIABLE = "LAB_LESSONS"
"""Names another file."""


@dataclass
class Progress:
    """Of one lesson."""

    opened: str
    """Times are UTC, as ISO 8601 writes them."""
    predicted: dict[str, str] = field(default_factory=dict)
    true: dict[str, str] = field(default_factory=dict)
    diagnosis: str = ""
    diagnosed: bool = False
    checks: tuple[str, ...] = ()
    """What each check said: `correct`, `not yet`, `cannot be checked`."""
    hints: int = 0
    solution: bool = False
    """Whether it was shown."""
    solved: str = ""
    """When the first check said `correct`; empty: none did."""

    @property
    def minutes(self) -> float | None:
        """Return how long it took; None: it is not solved."""
        if not self.solved:
            return None
        began, ended = map(datetime.datetime.fromisoformat, (self.opened, self.solved))
        return (ended - began).total_seconds() / 60


def path() -> Path:
    """Return the learner's file: LAB_LESSONS, else beside the notebooks' first page."""
    above = Path.cwd().parent
    here = above if (above / execute.FIRST).exists() else Path.cwd()
    return Path(os.environ.get(VARIABLE) or here / FILE)


def now() -> str:
    """Return the time, as it is written there."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def read(file: Path | None = None) -> dict[str, Progress]:
    """Return the progress of each lesson. Raises BadEvidence for a file that is none."""
    file = file or path()
    if not file.exists():
        return {}
    try:
        told: Mapping[str, Any] = json.loads(file.read_text())
        return {
            str(name): decode.build(Progress, one, name) for name, one in told["lessons"].items()
        }
    except (ValueError, KeyError, AttributeError, TypeError, BadEvidence) as wrong:
        raise BadEvidence(
            f"{file} holds no progress of lessons: {wrong}",
            hint=f"move it away; or {VARIABLE}=FILE names another",
        ) from None


def write(name: str, progress: Progress) -> None:
    """Write the progress of a lesson, beside the others'."""
    whole = {key: vars(one) for key, one in {**read(), name: progress}.items()}
    files.write_json(path(), {"format": 1, "lessons": whole})
