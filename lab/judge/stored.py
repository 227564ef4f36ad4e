"""Stored runs, judged again from their files alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lab.common import untrusted
from lab.common.errors import BadEvidence, LabError
from lab.judge.case import Case
from lab.judge.verdict import Verdict, judge
from lab.model import evidence, store
from lab.model.failure import Failure
from lab.model.parameters import parameters_of, with_parameters


def judge_all(wanted: Sequence[Failure], folder: Path) -> tuple[list[Verdict], dict[str, str]]:
    """Verdicts from a run's files; and, of failures without a verdict file, why."""
    verdicts, missing = [], dict[str, str]()
    for failure in wanted:
        place = folder / failure.name
        try:
            if not (place / "verdict.json").exists():
                raise LabError(f"its notebook ended before its verdict: {_last_words(place)}")
            case = open_case(failure, folder)
            verdicts.append(judge(case.failure, case.evidence, place))
        except LabError as problem:
            missing[failure.name] = str(problem)
    return verdicts, missing


def open_case(failure: Failure, folder: Path) -> Case:
    """A failure as a run recorded it, with the run's parameters. Raises BadEvidence."""
    place = folder / failure.name
    untrusted.require_inside(place, folder)
    recorded = evidence.load(place)
    if recorded.failure != failure.name:
        raise BadEvidence(f"{place} holds evidence of {recorded.failure!r}")
    values = parameters_of(failure, recorded.parameters)
    return Case(with_parameters(failure, values), recorded, place)


def _last_words(place: Path) -> str:
    """The error that its log ends with, without what is above and below it."""
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
    """The worst of all: a verdict that differs, else one that is missing or unsure."""
    return worst([verdict.exit_code for verdict in verdicts] + [3 for _ in missing])


def worst(codes: Sequence[int]) -> int:
    """1 before all others: that something differs is certain, what is unsure may be so too."""
    return 1 if 1 in codes else max(codes, default=3)
