"""One cell, measured now: in a mesh of its own, which is removed afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from lab.record.begin import begun
from lab.truth_table import results, run
from lab.truth_table.cells import Cell
from lab.truth_table.recorded import NAME
from lab.truth_table.text import Stored


def measure(cell: Cell, word: str) -> Mapping[str, Stored]:
    """Make a cell's call on a cluster; return its row, by its key.

    word: as `--cluster` has it. Raises LabError where the mesh does not come up.
    """
    began = begun(NAME, word)
    folder = run.measure(began.cluster, [cell], began.folder.parent, began.tell)
    results.save_csv(results.judge_run(folder), folder)
    return results.load(folder)
