"""Writes a truth table's page: heat maps with their tables, what surprises, and what disagrees."""

from __future__ import annotations

from pathlib import Path

from lab.common import untrusted
from lab.model import store
from lab.render.display import Picture, Table
from lab.report import pictures
from lab.report.pictures import Part
from lab.truth_table import compare, figure, results, surprises, text
from lab.truth_table.axes import POLICIES
from lab.truth_table.compare import Measured
from lab.truth_table.recorded import NAME

INDEX = "index.html"
CALLERS = {"sidecar": "a caller with a sidecar", "none": "a caller without one"}
LEDE = (
    "Each field is a call that was made on a real mesh. Rows are what the Service's port is "
    "called, columns are what the client sends. A field says whether the application answered, "
    "and how the bytes crossed the network."
)


def write(place: Path) -> Path | None:
    """Write the page of a run's table, or of the committed one; None where a run has none."""
    folder = place / NAME
    if not is_there(place):
        return None
    recorded = place == store.RECORDED
    table = compare.load("recorded" if recorded else place.name, folder)
    page = (store.runs() / "recorded" / NAME if recorded else folder) / INDEX
    return pictures.write(page, "The truth table", LEDE, _parts(table), _facts(table))


def is_there(place: Path) -> bool:
    """Return whether a run has a table."""
    return untrusted.is_there(place / NAME / results.CSV)


def _parts(table: Measured) -> list[Part]:
    maps = [
        Part(f"{policy}-{caller}", f"{mode}, {told}", shown)
        for policy, mode in POLICIES.items()
        for caller, told in CALLERS.items()
        if (shown := _map(table, policy, caller))
    ]
    wrong = [row for row in table.rows.values() if row["agrees"] != "True"]
    surprising = surprises.table(table.rows.values())
    parts = [*maps, Part("surprises", "What surprises", surprising)]
    return [*parts, Part("wrong", "Not as foretold", text.listing(wrong))] if wrong else parts


def _map(table: Measured, policy: str, caller: str) -> Picture | Table | None:
    """Return a heat map of the core; None where no cell of it was measured."""
    fixed = {"policy": policy, "caller": caller}
    found = figure.heat_map(table.rows, fixed)
    return found if found.table.rows else None


def _facts(table: Measured) -> dict[str, str]:
    foretold = sum(row["agrees"] == "True" for row in table.rows.values())
    rows = compare.identity([table]).rows
    return {
        "run": table.name,
        **{row[0]: row[1] for row in rows},
        "as foretold": f"{foretold} of {len(table.rows)}",
    }
