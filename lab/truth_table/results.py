"""The truth table itself: a row for each cell, written as CSV and Parquet."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.common import files, untrusted
from lab.common.errors import BadEvidence
from lab.truth_table import answers, plan
from lab.truth_table.answers import Answer
from lab.truth_table.cells import DEFAULTS, Cell
from lab.truth_table.predictions import Foretold
from lab.truth_table.recorded import Call, Recorded, of_run
from lab.truth_table.waits import Waits

CSV, PARQUET = "truth_table.csv", "truth_table.parquet"
CELL = tuple(field.name for field in dataclasses.fields(Cell))
ANSWER = tuple(field.name for field in dataclasses.fields(Answer))
FORETOLD = ("outcome", "by", "status", "wire", "first_leg", "detail", "unknown")
SAME = ("outcome", "by", "status", "flag", "given", "wire", "first_leg", "client")
"""What two measurements of a cell are compared by."""
_ORDER = {cell: number for number, cell in enumerate(plan.cells())}


@dataclass(frozen=True)
class Row:
    """A cell, what was foretold of it, and what was measured."""

    cell: Cell
    measured: Answer
    foretold: tuple[Foretold, ...]
    gauge: str = ""
    """What the gauges of the proxy say in which a hung call waits; empty: they were not read."""

    @property
    def agrees(self) -> bool:
        return answers.agree(self.foretold, self.measured)

    def values(self) -> dict[str, Any]:
        """Return the row by column, as docs/truth-table.md documents them."""
        first = self.foretold[0]
        return {
            "cell": self.cell.key,
            **{name: getattr(self.cell, name) for name in CELL},
            **{name: getattr(self.measured, name) for name in ANSWER},
            "gauge": self.gauge,
            **{f"foretold_{name}": getattr(first, name) for name in FORETOLD},
            "ways": len(self.foretold),
            "agrees": self.agrees,
        }

    def stored(self) -> dict[str, str]:
        """Return the row as the CSV has it."""
        return {name: str(value) for name, value in self.values().items()}


def judge(recorded: Recorded) -> list[Row]:
    """Return a row for each call that was recorded."""
    waits = Waits(recorded)
    return [_row(recorded, waits, call) for call in recorded.calls]


def judge_run(folder: Path) -> list[Row]:
    """Return the rows of all shards of a run, in the order of the plan."""
    rows = [row for recorded in of_run(folder) for row in judge(recorded)]
    return sorted(rows, key=lambda row: _ORDER.get(row.cell, len(_ORDER)))


def _row(recorded: Recorded, waits: Waits, call: Call) -> Row:
    found = waits.checked(call, answers.answer(recorded, call))
    foretold = tuple(recorded.foretold[call.cell.key])
    return Row(call.cell, found, foretold, str(waits.of(call) or ""))


def save(rows: Sequence[Row], folder: Path) -> None:
    """Write the table into a folder, in both formats."""
    import pyarrow as pa
    from pyarrow import parquet

    save_csv(rows, folder)
    beside = folder / f".{PARQUET}"
    parquet.write_table(pa.Table.from_pylist([row.values() for row in rows]), beside)
    beside.replace(folder / PARQUET)


def save_csv(rows: Sequence[Row], folder: Path) -> None:
    """Write the table into a folder as CSV alone."""
    values = [row.values() for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*values[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(values)
    files.write_text(folder / CSV, text.getvalue())


def load(folder: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a stored table by cell. Raises BadEvidence for what is none.

    A table that was measured before there was an axis has its default.
    """
    text = untrusted.read_bytes(folder / CSV, folder).decode(errors="replace")
    rows = [{**DEFAULTS, "first_leg": "", **row} for row in csv.DictReader(io.StringIO(text))]
    if not rows or not {"cell", *SAME} <= rows[0].keys():
        raise BadEvidence(f"{CSV} in {folder.name} has not the columns of a truth table")
    return {row["cell"]: row for row in rows}


def differing(
    tables: Iterable[Mapping[str, Mapping[str, str]]],
) -> dict[str, list[tuple[str, ...]]]:
    """Return each cell whose answers are not the same in all tables, with each table's answer.

    A cell that one of them does not have is left out.
    """
    every = list(tables)
    shared = [key for key in every[0] if all(key in table for table in every)]
    answered = {
        key: [tuple(table[key][name] for name in SAME) for table in every] for key in shared
    }
    return {key: each for key, each in answered.items() if len({*each}) > 1}
