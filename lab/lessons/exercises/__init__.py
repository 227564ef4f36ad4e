"""The lessons, one file each; a file that is added here is one more lesson."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.lessons.lesson import Lesson

ORDER = (
    "plaintext_port",
    "excluded_port",
    "policy_number",
    "left_out_host",
    "https_as_http",
    "waiting_client",
    "denied_by_address",
    "method_on_tcp",
    "second_database",
    "headless_exception",
)
"""In which order the course takes them; one that is not named comes last."""


def names() -> list[str]:
    """Return the names of all lessons, in the course's order."""
    there = {path.stem for path in Path(__file__).parent.glob("[a-z]*.py")}
    return [*(one for one in ORDER if one in there), *sorted(there - {*ORDER})]


def load(name: str) -> Lesson:
    """Return a lesson. Raises BadArguments, with the lessons that there are."""
    from lab.common.errors import BadArguments
    from lab.common.suggest import meant

    if name not in names():
        there = names()
        raise BadArguments(f"no lesson {name!r}: {meant(name, there)}there is {', '.join(there)}")
    found: Lesson = import_module(f"{__name__}.{name}").LESSON
    return found
