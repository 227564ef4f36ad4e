"""The database servers of the table: where they are offered, and their programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clusters.base import Progress
from clusters.stacks import binaries
from lab.truth_table.axes import PAYLOADS
from lab.truth_table.cells import Cell

MODULE_SET = "databases"
OFFERED_BY = "embedded"
"""The kind of cluster whose images have them."""


def called(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells that call a database."""
    return [cell for cell in cells if PAYLOADS[cell.sends].database]


def offered(kind: str, cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that a kind of cluster can measure."""
    if kind == OFFERED_BY:
        return [*cells]
    return [cell for cell in cells if not PAYLOADS[cell.sends].database]


def ensure(cells: Iterable[Cell], progress: Progress) -> None:
    """Build the servers unless they are built, where a cell calls one.

    Raises NeedsUnmet where they cannot be built here.
    """
    if called(cells):
        binaries.build(binaries.source(MODULE_SET), progress)
