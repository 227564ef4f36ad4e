"""Judges a table: the claims that its cells decide, and each pinned cell beside what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.common import places, untrusted
from lab.common.errors import BadEvidence, LabError
from lab.judge.stored import last_words
from lab.judge.verdict import CellVerdict, ClaimVerdict, Said, Verdict, agrees
from lab.model.failure import Word
from lab.model.pins import Pin
from lab.truth_table import pinned, results, text
from lab.truth_table.claims import CLAIMS, CONTROLS, Clause, Question, TableClaim
from lab.truth_table.pinned import Measured
from lab.truth_table.recorded import Recorded
from lab.truth_table.results import SAME, Row
from lab.truth_table.text import Stored

NAME = "port_names"
"""Of the notebook, of its folder in a run, and of `make reproduce FAILURE=port_names`."""
TITLE = "What a port's name carries: cells of the truth table"
SYMPTOM = "It works on a port of one name, and on a port of another it is refused or hangs."
LIVE = places.reproduce(NAME)
BECAUSE = "as in the recorded table"
NOT_MEASURED = "it was not measured"
_UNKNOWN = {"unknown"}


@dataclass(frozen=True)
class Table:
    """A table that is to be judged, and where it was measured."""

    rows: Mapping[str, Stored]
    run: str
    recorded_at: str
    cluster: str
    stack: Mapping[str, str]


def recorded() -> Table:
    """Return the recorded table. Raises BadEvidence where it is damaged."""
    known = pinned.measured()
    rows = results.load(pinned.RECORDED)
    return Table(rows, known.run, known.recorded_at, known.cluster, known.stack)


def stored(folder: Path, judged: Sequence[Row] | None = None) -> Table:
    """Return a run's table, judged now from its recordings. Raises BadEvidence for damage.

    judged: its rows, where they were judged before.
    """
    recordings = Recorded(folder)
    try:
        about = recordings.about
        each = results.judge(recordings) if judged is None else judged
        rows = {row.cell.key: row.stored() for row in each}
        when = about.get("recorded_at", "")
        return Table(rows, about["run"], when, about["cluster"], about["stack"])
    except (LookupError, TypeError, ValueError, AttributeError) as wrong:
        raise BadEvidence(f"the recordings in {folder.name} are damaged: {wrong!r}") from None


def is_in(run: Path) -> bool:
    """Return whether a run began to measure the pinned cells."""
    return untrusted.is_there(run / NAME)


def of_run(run: Path) -> tuple[list[Verdict], dict[str, str]]:
    """Return the verdict on a run's cells, or why there is none, as of a failure.

    `lab.judge.stored.judge_all` has the same of failures. A run that replays the recorded table
    has no recordings of it, and its verdict says that it does.
    """
    folder = run / NAME
    try:
        untrusted.require_inside(folder, run)
        if not (folder / "verdict.json").exists():
            raise LabError(f"its notebook ended before its verdict: {last_words(folder)}")
        return [judge(recorded() if _replays(folder) else stored(folder))], {}
    except LabError as problem:
        return [], {NAME: str(problem)}


def _replays(folder: Path) -> bool:
    """Return whether a run's verdict says that it is on the recorded table."""
    told = untrusted.read_json(folder / "verdict.json", folder)
    return isinstance(told, dict) and told.get("run") == pinned.measured().run


def judge(table: Table) -> Verdict:
    """Judge the claims by their cells, and each pinned cell by what is recorded of it."""
    controls = tuple(_controls(table.rows))
    obstacle = next((f"{says}: {told}" for says, holds, told in controls if not holds), "")
    known = pinned.measured()
    return Verdict(
        failure=NAME,
        title=TITLE,
        run=table.run,
        recorded_at=table.recorded_at,
        cluster=table.cluster,
        stack=dict(table.stack),
        parameters={},
        controls=controls,
        unusual=(),
        claims=tuple(_claim(claim, table, known, obstacle) for claim in CLAIMS),
        remedies=(),
        cells=tuple(_cells(table, known)),
    )


def _controls(rows: Mapping[str, Stored]) -> Iterator[tuple[str, bool | None, str]]:
    for says, cell, wanted in CONTROLS:
        seen = _seen(rows, cell)
        yield says, seen == wanted if seen else None, f"{cell}: {seen or NOT_MEASURED}"


def _seen(rows: Mapping[str, Stored], cell: str) -> str:
    """Return a cell's answer in a word or two; empty where it is not known."""
    row = rows.get(cell)
    known = row is not None and _UNKNOWN.isdisjoint((row["outcome"], row["wire"]))
    return text.short(row) if row is not None and known else ""


def _claim(claim: TableClaim, table: Table, known: Measured, obstacle: str) -> ClaimVerdict:
    as_posted, today = (_say(one, table.rows, obstacle) for one in claim.questions)
    pin = Pin(claim.pinned, claim.because) if known.covers(table.stack, table.cluster) else None
    return ClaimVerdict(
        claim.id,
        claim.says,
        as_posted,
        today,
        agrees(pin, as_posted.word, today.word),
        pin.words if pin else None,
        pin.why if pin else "",
    )


def _say(question: Question, rows: Mapping[str, Stored], obstacle: str) -> Said:
    if obstacle:
        return Said("inconclusive", obstacle, None)
    unknown = [
        cell for clause in question.clauses for cell in clause.cells if not _seen(rows, cell)
    ]
    if unknown:
        return Said("inconclusive", f"nothing is known of {', '.join(unknown)}", None)
    told = [_clause(clause, rows) for clause in question.clauses]
    others = [word for word, _ in told if word != "reproduced"]
    return Said(others[0] if others else "reproduced", "; ".join(why for _, why in told), None)


def _clause(clause: Clause, rows: Mapping[str, Stored]) -> tuple[Word, str]:
    """Return whether a clause holds, with the cells that are otherwise or, else, their number."""
    seen = {cell: _seen(rows, cell) for cell in clause.cells}
    other = {cell: said for cell, said in seen.items() if (said == "mTLS") is not clause.carried}
    if other:
        if not clause.carried:
            return clause.else_, f"carried over mutual TLS: {', '.join(other)}"
        cells = ", ".join(f"{cell} ({said})" for cell, said in other.items())
        return clause.else_, f"not carried over mutual TLS: {cells}"
    return "reproduced", f"{clause.says} ({len(seen)} cells)"


def _cells(table: Table, known: Measured) -> Iterator[CellVerdict]:
    """Yield each pinned cell. Nothing is pinned on a stack that was never measured."""
    recordings = results.load(pinned.RECORDED)
    covered = known.covers(table.stack, table.cluster)
    for cell in pinned.cells(recordings):
        yield _cell(cell.key, table.rows.get(cell.key), recordings[cell.key] if covered else None)


def otherwise(table: Table) -> list[str]:
    """Return the pinned cells that are not as recorded, whatever stack they were measured on."""
    recordings = results.load(pinned.RECORDED)
    each = (
        _cell(one.key, table.rows.get(one.key), recordings[one.key])
        for one in pinned.cells(recordings)
    )
    return [one.name for one in each if one.agreement != "as pinned"]


def _cell(key: str, row: Stored | None, pin: Stored | None) -> CellVerdict:
    word = _told(row) if row and _UNKNOWN.isdisjoint((row["outcome"], row["wire"])) else ""
    words = (_told(pin),) if pin else None
    return CellVerdict(
        key,
        word or "inconclusive",
        (row["detail"] if row else NOT_MEASURED) or word,
        agrees(Pin(words, BECAUSE) if words else None, word or "inconclusive"),
        words,
        BECAUSE if words else "",
    )


def _told(row: Stored) -> str:
    """Return all that two measurements of a cell are compared by: `wire plaintext, ...`."""
    return ", ".join(f"{name} {row[name] or '-'}" for name in SAME)
