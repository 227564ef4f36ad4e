"""The pinned cells as a notebook has them: measured on a cluster, or those of the record."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from clusters import kind_of
from clusters.base import OwnCluster
from lab.common import files
from lab.common.errors import BadArguments, ClusterGone
from lab.judge.verdict import Verdict, to_json
from lab.notebook.open_run import choose
from lab.record import turn, world
from lab.record.begin import begun
from lab.render import explain, tables, wording
from lab.render.display import Table, Text
from lab.truth_table import claims, pinned, results, run, text, verdict
from lab.truth_table.recorded import Recorded
from lab.truth_table.text import Stored
from lab.truth_table.verdict import NAME


class PinnedCells:
    """The cells that a run measures; each method returns something that shows itself."""

    def __init__(self, judged: Verdict, rows: Mapping[str, Stored], told: str, folder: Path):
        self._judged, self._told, self._folder = judged, told, folder
        self._rows = {cell.name: rows[cell.name] for cell in judged.cells if cell.name in rows}

    def __repr__(self) -> str:
        return f"{self._told}\n{tables.cells_line(self._judged.cells)}"

    def deciding(self, claim: str) -> Table:
        """Return the cells that decide a claim (`C1`), with what became of each."""
        found = {one.id: one for one in claims.CLAIMS}.get(claim)
        if found is None:
            there = ", ".join(one.id for one in claims.CLAIMS)
            raise BadArguments(f"the table decides no claim {claim!r}; it decides {there}")
        return self._listed(found.cells)

    def cells(self, pattern: str) -> Table:
        """Return a line for each measured cell whose name fits: `*/http/strict/sidecar`."""
        return self._listed(key for key in self._rows if fnmatchcase(key, pattern))

    def _listed(self, keys: Iterable[str]) -> Table:
        return text.listing([self._rows[key] for key in keys if key in self._rows])

    def drift(self) -> Table:
        """Return each cell that is not as pinned: what was pinned, and what was seen."""
        return tables.cells_table(self._judged)

    def why(self, claim: str) -> Text:
        """Return which clauses hold, and the cells that are otherwise."""
        return Text(tuple(explain.lines_of(self._judged, self._folder, [claim])))

    def verdict(self) -> Table:
        """Show the verdicts on the claims."""
        return tables.claims_table([self._judged], "Verdicts, from the table's cells alone")


def open_cells(cluster: str = "auto") -> PinnedCells:
    """Measure the pinned cells on a cluster, or open the recorded ones.

    cluster: as of `lab.open_run`. Under the runner the verdict is written into its folder.
    """
    kind, why = choose(cluster)
    return _replayed(why) if kind_of(kind).replayed else _measured(kind, why)


def _replayed(why: str) -> PinnedCells:
    table = verdict.recorded()
    judged = verdict.judge(table)
    if under_runner := os.environ.get("LAB_RUN"):
        files.write_json(Path(under_runner) / NAME / "verdict.json", to_json(judged))
    return PinnedCells(judged, table.rows, f"{wording.said(judged)} ({why})", pinned.RECORDED)


def _measured(kind: str, why: str) -> PinnedCells:
    began = begun(NAME, kind)
    turn.wait(NAME)
    if began.owned:
        atexit.register(_remove, began.cluster, began.folder.parent.name.lower())
    run.measure_beside(began.cluster, pinned.cells(), began.folder, began.tell)
    turn.end(NAME)
    began.tell("judging what was recorded")
    rows = results.judge(Recorded(began.folder))
    results.save_csv(rows, began.folder)
    table = verdict.stored(began.folder, rows)
    judged = verdict.judge(table)
    files.write_json(began.folder / "verdict.json", to_json(judged))
    told = f"live: {table.cluster} cluster, {began.cluster.stack} ({why})"
    return PinnedCells(judged, table.rows, told, began.folder)


def _remove(cluster: OwnCluster, label: str) -> None:
    with suppress(ClusterGone):
        world.remove(cluster, label)
