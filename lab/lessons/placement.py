"""Which lessons one can skip: a diagnosis of each from its report alone."""

from __future__ import annotations

from lab.common.errors import BadArguments
from lab.lessons import exercises
from lab.render.display import Table, Text


def lessons_to_skip(**diagnoses: str) -> Table | Text:
    """Show each lesson's report with its diagnoses; with letters, score them. Nothing is kept.

    diagnoses: `lesson="b"`. Raises BadArguments for a lesson, or a letter, that is not there.
    """
    return _scored(diagnoses) if diagnoses else Text(tuple(map(_asked, exercises.names())))


def _asked(name: str) -> str:
    lesson = exercises.load(name)
    causes = [f"{letter}) {cause.says}" for letter, cause in lesson.choices.items()]
    return "\n".join((f"{name}: {lesson.report}", *causes, ""))


def _scored(diagnoses: dict[str, str]) -> Table:
    rows = tuple(_score(name, letter) for name, letter in diagnoses.items())
    right = sum(row[2] == "skip it" for row in rows)
    note = f"{right} of {len(rows)} are right."
    return Table("", ("lesson", "your diagnosis", "", "because"), rows, note)


def _score(name: str, letter: str) -> tuple[str, ...]:
    lesson = exercises.load(name)
    if letter not in lesson.choices:
        raise BadArguments(f"{name}: no diagnosis {letter!r}: there is {', '.join(lesson.choices)}")
    chosen = lesson.choices[letter]
    right = chosen is lesson.causes[0]
    return lesson.title, chosen.says, "skip it" if right else "take it", chosen.because
