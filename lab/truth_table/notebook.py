"""The truth table as notebooks show it."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from lab.common.errors import BadArguments
from lab.common.suggest import meant
from lab.model import store
from lab.render.display import Picture, Table
from lab.truth_table import explore, figure, results, surprises, text
from lab.truth_table.explore import Explorer
from lab.truth_table.text import Stored


class NotebookTable:
    """A stored table; each method returns something that shows itself."""

    def __init__(self, rows: Mapping[str, Stored], told: str) -> None:
        self._rows, self._told = rows, told

    def __repr__(self) -> str:
        agreed = sum(row["agrees"] == "True" for row in self._rows.values())
        return f"{self._told}: {len(self._rows)} cells, {agreed} of them as foretold"

    def heat_map(self, **axes: str) -> Picture:
        """Return what is sent by what the port is called; `policy="strict"` and the like."""
        return figure.heat_map(self._rows, _known(axes))

    def explore(self) -> Picture | Explorer:
        """Return a heat map with filters for its policy, its caller and one more axis."""
        return explore.chosen(self._rows)

    def matrix(self, **axes: str) -> Table:
        """Return the same as a table."""
        return text.matrix(self._rows, _known(axes))

    def cells(self, pattern: str) -> Table:
        """Return a line for each cell whose name fits: `http1.0/*/strict/sidecar`."""
        return text.listing([row for key, row in self._rows.items() if fnmatchcase(key, pattern)])

    def surprises(self) -> Table:
        """Return what is otherwise than the documentation makes one expect."""
        return surprises.table(self._rows.values())


def _known(axes: Mapping[str, str]) -> Mapping[str, str]:
    for axis in axes:
        if axis not in results.CELL:
            near = meant(axis, results.CELL)
            raise BadArguments(f"no axis {axis!r}: {near}there is {', '.join(results.CELL)}")
    return axes


def open_table(run: str | Path = "recorded") -> NotebookTable:
    """Return a stored table: the recorded one, or that of a run's folder."""
    folder = store.RECORDED / "truth_table" if run == "recorded" else Path(run)
    return NotebookTable(results.load(folder), f"truth table, {run}")
