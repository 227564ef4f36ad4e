"""The truth table measured on a cluster: every answer is as the model foretold it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from clusters.embedded.cluster import Embedded
from lab.truth_table import plan, results, run
from lab.truth_table.cells import Cell
from lab.truth_table.recorded import Recorded


def wrong(cluster: Embedded, cells: list[Cell], folder: Path) -> list[str]:
    recorded = Recorded(run.measure(cluster, cells, folder, lambda _line: None))
    rows = results.judge(recorded)
    results.save(rows, recorded.folder)
    assert len(rows) == len(cells)
    return [f"{row.cell.key}: {row.measured}; foretold {row.foretold}"
            for row in rows if not row.agrees]  # fmt: skip


@pytest.mark.cluster
def test_sixty_cells_drawn_at_random_are_as_foretold(cluster: Embedded, tmp_path: Path) -> None:
    drawn = random.Random(21).sample(plan.cells(), 60)
    assert wrong(cluster, drawn, tmp_path / "20000101T000000Z-tabl") == []


@pytest.mark.cluster
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_whole_table_is_as_foretold(cluster: Embedded, tmp_path: Path) -> None:
    assert wrong(cluster, plan.cells(), tmp_path / "20000101T000000Z-whol") == []
