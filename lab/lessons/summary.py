"""What a learner has done so far: what was predicted, what was true, and how long it took."""

from __future__ import annotations

from lab.lessons import exercises, progress
from lab.lessons.progress import Progress
from lab.render.display import Table

_HEADER = ("lesson", "you predicted", "what was seen", "diagnosis", "hints", "solved", "minutes")


def table() -> Table:
    """Return a row for each lesson. Raises BadEvidence where the learner's file is none."""
    done = progress.read()
    rows = tuple(_row(name, done.get(name)) for name in exercises.names())
    return Table("", _HEADER, rows, _whole([*done.values()], len(rows)))


def _whole(done: list[Progress], lessons: int) -> str:
    solved = [one.minutes for one in done if one.minutes is not None]
    scored = [
        told == one.true[key] for one in done for key, told in one.predicted.items() if one.true
    ]
    return (
        f"{len(solved)} of {lessons} lessons are solved, in {sum(solved):.0f} minutes. "
        f"{sum(scored)} of {len(scored)} predictions were right."
    )


def _row(name: str, one: Progress | None) -> tuple[str, ...]:
    title = exercises.load(name).title
    if one is None:
        return (title, *[""] * (len(_HEADER) - 1))
    minutes = "" if one.minutes is None else f"{one.minutes:.0f}"
    return (
        title,
        ", ".join(one.predicted.values()) or "nothing",
        ", ".join(one.true.values()),
        _diagnosed(one),
        str(one.hints),
        _solved(one),
        minutes,
    )


def _diagnosed(one: Progress) -> str:
    if not one.diagnosis:
        return ""
    return "right" if one.diagnosed else "wrong"


def _solved(one: Progress) -> str:
    if not one.solved:
        return "not yet"
    return "after the solution was shown" if one.solution else "yes"
