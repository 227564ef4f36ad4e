"""The truth table's part of a run's page: the claims that it decides, and the cells behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.common import untrusted
from lab.judge.verdict import ClaimVerdict, Said, Verdict
from lab.model import store
from lab.render import explain, tables
from lab.render.display import Table
from lab.render.wording import said
from lab.truth_table import pinned, results, text, verdict
from lab.truth_table.claims import CLAIMS, SOURCES, Question, TableClaim


@dataclass(frozen=True)
class Described:
    """What the page says of a failure, of the cells."""

    name: str = verdict.NAME
    title: str = verdict.TITLE
    symptom: str = verdict.SYMPTOM


@dataclass(frozen=True)
class CellsReport:
    """The cells of one run, and the verdict on them."""

    folder: Path
    verdict: Verdict
    replayed: str
    """`RECORDED`, with date and stack, where this run measured none; else empty."""
    failure: Described = field(default_factory=Described)


@dataclass(frozen=True)
class Titled:
    """A section of the part, as `lab.report.sections.Section` is one of a failure."""

    name: str
    title: str


def read(place: Path) -> tuple[CellsReport | None, Mapping[str, str]]:
    """Judge a run's cells; return its report or None, and why there is none, if it has any."""
    if place == store.RECORDED:
        found = verdict.judge(verdict.recorded())
        return CellsReport(pinned.RECORDED, found, said(found)), {}
    if not verdict.is_in(place):
        return None, {}
    judged, missing = verdict.of_run(place)
    report = [CellsReport(place / verdict.NAME, one, _replayed(one, place)) for one in judged]
    return next(iter(report), None), missing


def _replayed(found: Verdict, place: Path) -> str:
    return "" if found.run == place.name else said(found)


def part(report: CellsReport, notebook: str) -> dict[str, Any]:
    """Return the part of the page, in the shape of a failure's. notebook: its page, or empty."""
    sections = [
        (Titled("claims", "Verdicts, and what decided them"), _claims(report)),
        (Titled("cells", "The cells that were measured"), _cells(report)),
    ]
    return {"report": report, "files": None, "notebook": notebook, "sections": sections}


def _claims(report: CellsReport) -> Mapping[str, Any]:
    pairs = zip(CLAIMS, report.verdict.claims, strict=True)
    claims = [
        (judged, _answers(claim, judged), explain.drift(report.verdict, judged))
        for claim, judged in pairs
    ]
    return {"controls": report.verdict.controls, "claims": claims}


def _answers(claim: TableClaim, judged: ClaimVerdict) -> list[Mapping[str, Any]]:
    each = zip(claim.questions, judged.answers, strict=True)
    return [_answer(question, name, one) for question, (name, one) in each]


def _answer(question: Question, name: str, one: Said) -> Mapping[str, Any]:
    told = {"name": name, "question": question.question, "said": one}
    return {**told, "parts": one.why.split("; "), "proof": None, "witnesses": []}


def _cells(report: CellsReport) -> Mapping[str, Any]:
    return {
        "tally": tables.cells_line(report.verdict.cells),
        "drift": tables.cells_table(report.verdict) if report.verdict.drifted else None,
        "deciding": _deciding(report),
        "sources": SOURCES,
    }


def _deciding(report: CellsReport) -> list[tuple[str, Table]]:
    """Return the cells that decide each claim, as the run's own table has them."""
    rows = results.load(report.folder) if untrusted.is_there(report.folder / results.CSV) else {}
    return [
        (one.id, text.listing([rows[cell] for cell in one.cells if cell in rows])) for one in CLAIMS
    ]
