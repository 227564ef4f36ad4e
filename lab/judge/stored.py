"""Stored runs, judged again from their files alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.common import untrusted
from lab.common.errors import BadEvidence, LabError
from lab.judge.case import Case
from lab.judge.verdict import Verdict, judge
from lab.model import store
from lab.model.failure import Failure


@dataclass(frozen=True)
class Judged:
    """One failure's evidence as it was opened, and what is concluded of it."""

    case: Case
    verdict: Verdict


def judge_all(wanted: Sequence[Failure], folder: Path) -> tuple[list[Verdict], dict[str, str]]:
    """Return verdicts from a run's files; and, of failures without a verdict, why."""
    judged, missing = judge_cases(wanted, folder)
    return [one.verdict for one in judged], missing


def judge_cases(wanted: Sequence[Failure], folder: Path) -> tuple[list[Judged], dict[str, str]]:
    """Return the same with the cases that were judged, for whoever reads on in them."""
    judged, missing = list[Judged](), dict[str, str]()
    for failure in wanted:
        place = folder / failure.name
        try:
            if not (place / "verdict.json").exists():
                raise LabError(f"its notebook ended before its verdict: {last_words(place)}")
            case = open_case(failure, folder)
            judged.append(Judged(case, judge(case)))
        except LabError as problem:
            missing[failure.name] = str(problem)
    return judged, missing


def open_case(failure: Failure, folder: Path) -> Case:
    """Open a failure as a run recorded it, with the run's parameters. Raises BadEvidence."""
    place = folder / failure.name
    untrusted.require_inside(place, folder)
    return Case.open(failure, place)


def last_words(place: Path) -> str:
    """Return the error that its log ends with, without what is above and below it."""
    if place.exists() and store.is_full(place):
        return f"no room is left in {place}"
    log = place / "notebook.log"
    try:
        lines = untrusted.read_text(log, place).strip().splitlines()
    except BadEvidence as problem:
        return str(problem) if untrusted.is_there(log) else "no output"
    if not lines:
        return "no output"
    error = next((line for line in reversed(lines) if re.match(r"[\w.]+: ", line)), lines[-1])
    return f"{error} ({log})"


def exit_code(verdicts: Sequence[Verdict], missing: dict[str, str]) -> int:
    """Return the worst code: a verdict that differs, else one that is missing or unsure."""
    return worst([verdict.exit_code for verdict in verdicts] + [3 for _ in missing])


def worst(codes: Sequence[int]) -> int:
    """Return 1 before all others: a difference is certain, what is unsure may be one too."""
    return 1 if 1 in codes else max(codes, default=3)
