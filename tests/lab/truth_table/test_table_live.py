"""The truth table measured on a cluster: every answer is as the model foretold it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import by_hand
import pytest

from clusters.embedded.cluster import Embedded
from lab.envoy.way import CLIENT, SERVER
from lab.truth_table import page, plan, results, run, shards
from lab.truth_table.axes import PAYLOADS
from lab.truth_table.cells import Cell
from lab.truth_table.results import Row

FLAKY = tuple(f"{name}/" for name, payload in PAYLOADS.items() if payload.flaky)
AT_MOST = 3
"""Flaky cells of a whole table that may be otherwise; 1 was seen."""


def judged(folder: Path, cells: list[Cell]) -> list[Row]:
    rows = results.judge_run(folder)
    results.save(rows, folder)
    assert len(rows) == len(cells)
    return rows


def unlike_the_recorded(folder: Path) -> dict[str, list[tuple[str, ...]]]:
    return results.differing([results.load(folder), results.load(page.RECORDED)])


def drawn_at_random() -> list[Cell]:
    every = [cell for cell in plan.cells() if not PAYLOADS[cell.sends].database]
    return random.Random(21).sample(every, 60)


def hanging() -> list[Cell]:
    """Of a gateway no gauge is read."""
    waiting = ("hangs", CLIENT), ("hangs", SERVER)
    rows_there = results.load(page.RECORDED).values()
    known = [row for row in rows_there if (row["outcome"], row["by"]) in waiting]
    keys = {row["cell"] for row in random.Random(4).sample(known, 40)}
    return [cell for cell in plan.cells() if cell.key in keys]


DATABASES = [
    Cell("mongo", "mongo", "strict", "sidecar"),
    Cell("mysql", "none", "permissive", "sidecar"),
    Cell("mysql-tls", "mysql", "disable", "none"),
    Cell("redis", "http", "permissive", "none"),
    Cell("udp", "http", "strict", "sidecar"),
]


@pytest.fixture(scope="module")
def measured(cluster: Embedded, tmp_path_factory: pytest.TempPathFactory) -> dict[Cell, Row]:
    """All cells that the next tests ask about, measured in one mesh."""
    cells = [*dict.fromkeys([*drawn_at_random(), *hanging(), *DATABASES])]
    folder = tmp_path_factory.mktemp("table") / "20000101T000000Z-some"
    rows = judged(run.measure(cluster, cells, folder, lambda _line: None), cells)
    return {row.cell: row for row in rows}


def unforetold(rows: Iterable[Row]) -> list[str]:
    return [f"{row.cell.key}: {row.measured}; foretold {row.foretold}"
            for row in rows if not row.agrees]  # fmt: skip


@pytest.mark.cluster
@pytest.mark.timeout(1200)  # the servers are built where they never were
def test_sixty_cells_drawn_at_random_are_as_foretold(measured: dict[Cell, Row]) -> None:
    assert unforetold(measured[cell] for cell in drawn_at_random()) == []


@pytest.mark.cluster
def test_the_proxies_gauges_prove_where_each_hung_call_waits(measured: dict[Cell, Row]) -> None:
    rows = [measured[cell] for cell in hanging()]
    assert len(rows) == 40
    assert unforetold(rows) == []
    assert [row.cell.key for row in rows if f"wait in the {row.measured.by}" not in row.gauge] == []


@pytest.mark.cluster
def test_queries_of_databases_and_a_datagram_are_as_foretold(measured: dict[Cell, Row]) -> None:
    assert unforetold(measured[cell] for cell in DATABASES) == []


@pytest.mark.cluster
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_whole_table_is_as_foretold(cluster: Embedded, tmp_path: Path) -> None:
    cells = plan.cells()
    folder = tmp_path / "20000101T000000Z-whol"
    found = unforetold(judged(run.measure(cluster, cells, folder, lambda _line: None), cells))
    assert [one for one in found if not one.startswith(FLAKY)] == []
    assert len(found) <= AT_MOST


@pytest.mark.cluster
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_fifty_cells_in_meshes_of_their_own_are_answered_as_among_all_others(
    cluster: Embedded, tmp_path: Path
) -> None:
    every = [cell for cell in plan.cells() if not cell.key.startswith(FLAKY)]
    drawn = random.Random(50).sample(every, 50)
    folder = run.measure_shards(
        cluster,
        shards.alone(drawn),
        tmp_path / "20000101T000000Z-alon",
        lambda _line: None,
        at_once=shards.ALONE_AT_ONCE,
    )
    assert {row.cell for row in judged(folder, drawn)} == {*drawn}
    assert unlike_the_recorded(folder) == {}


@pytest.mark.cluster
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_hundred_cells_called_by_commands_typed_by_hand_are_answered_as_in_the_table(
    cluster: Embedded, tmp_path: Path
) -> None:
    every = [cell for cell in plan.cells() if not cell.key.startswith(FLAKY)]
    drawn = random.Random(100).sample([*filter(by_hand.can_type, every)], 100)
    folder = run.measure_shards(
        cluster,
        [drawn],
        tmp_path / "20000101T000000Z-hand",
        lambda _line: None,
        send=by_hand.send,
    )
    assert {row.cell for row in judged(folder, drawn)} == {*drawn}
    assert unlike_the_recorded(folder) == {}
