"""Reads a stored run for its report: judged now, from its files alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import failures
from lab.common import untrusted
from lab.common.errors import BadEvidence
from lab.judge import stored
from lab.judge.case import Case
from lab.judge.stored import Judged
from lab.judge.verdict import Verdict
from lab.model import store
from lab.model.evidence import Evidence
from lab.model.failure import Failure
from lab.render.comparison import Run as Compared
from lab.render.wording import said
from lab.report.cells import CellsReport
from lab.report.cells import read as read_cells


@dataclass(frozen=True)
class FailureReport:
    """One failure of a run: its evidence, and the verdict on it."""

    case: Case
    verdict: Verdict
    replayed: str
    """`RECORDED`, with date and stack, where this run made no call of its own; else empty."""

    @property
    def failure(self) -> Failure:
        return self.case.failure

    @property
    def evidence(self) -> Evidence:
        return self.case.evidence

    @property
    def folder(self) -> Path:
        return self.case.folder


@dataclass(frozen=True)
class ReportedRun:
    """One run, and what its summary says of how it was made."""

    name: str
    folder: Path
    reports: tuple[FailureReport, ...]
    missing: Mapping[str, str]
    """Failure -> why there is no verdict of it."""
    summary: Mapping[str, Any]
    """Empty where the run ended before it was written, and for committed evidence."""
    cells: CellsReport | None = None
    """The truth table's cells, where the run measured or replayed them."""

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts on failures and, last, the one on the truth table's cells."""
        return [one.verdict for one in (*self.reports, *((self.cells,) if self.cells else ()))]

    @property
    def exit_code(self) -> int:
        """The exit code that follows from these verdicts."""
        return stored.exit_code(self.verdicts, dict(self.missing))

    @property
    def replayed(self) -> bool:
        """Whether any of its evidence was recorded in another run."""
        return any(one.replayed for one in self.reports)

    @property
    def compared(self) -> Compared:
        """The run as one side of a comparison."""
        return Compared(self.name, tuple(one.verdict for one in self.reports), self.missing)

    def text(self, key: str) -> str:
        """Return a text of the summary; empty where it has none, or something else."""
        value = self.summary.get(key)
        return value if isinstance(value, str) else ""

    @property
    def checkout(self) -> str:
        """The commit that the run was made with, in words; empty where it was not recorded."""
        found = self.summary.get("checkout")
        commit = found.get("commit") if isinstance(found, dict) else None
        if not isinstance(commit, str):
            return ""
        assert isinstance(found, dict)
        return f"{commit}, with uncommitted changes" if found.get("dirty") else commit


def read(place: Path) -> ReportedRun:
    """Judge a run's folder, or `evidence/` of the checkout. Damage is told in `missing`."""
    there = [failures.load(name) for name in failures.names() if untrusted.is_there(place / name)]
    judged, missing = stored.judge_cases(there, place)
    ours = "recorded" if place == store.RECORDED else place.name
    judged.sort(key=lambda one: one.verdict.claims[0].id)  # as the post tells them
    reports = tuple(_report(one, ours) for one in judged)
    cells, without = read_cells(place)
    return ReportedRun(ours, place, reports, missing | dict(without), _summary(place), cells)


def read_failure(place: Path, name: str) -> FailureReport | None:
    """Judge one failure of a run's folder; None where it has no evidence to judge."""
    judged, _ = stored.judge_cases([failures.load(name)], place)
    return _report(judged[0], place.name) if judged else None


def _report(judged: Judged, run: str) -> FailureReport:
    recorded = judged.case.evidence
    replayed = said(recorded) if recorded.run != run else ""
    return FailureReport(judged.case, judged.verdict, replayed)


def _summary(place: Path) -> Mapping[str, Any]:
    path = place / "summary.json"
    if not untrusted.is_there(path):
        return {}
    try:
        found = untrusted.read_json(path, place)
    except BadEvidence:
        return {}  # a damaged summary: the evidence is judged without it
    return found if isinstance(found, dict) else {}
