"""The truth table measured on a cluster: every answer is as the model foretold it."""

from __future__ import annotations

import random
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


def wrong(cluster: Embedded, cells: list[Cell], folder: Path) -> list[str]:
    rows = judged(run.measure(cluster, cells, folder, lambda _line: None), cells)
    return [f"{row.cell.key}: {row.measured}; foretold {row.foretold}"
            for row in rows if not row.agrees]  # fmt: skip


def unlike_the_recorded(folder: Path) -> dict[str, list[tuple[str, ...]]]:
    return results.differing([results.load(folder), results.load(page.RECORDED)])


@pytest.mark.cluster
def test_sixty_cells_drawn_at_random_are_as_foretold(cluster: Embedded, tmp_path: Path) -> None:
    every = [cell for cell in plan.cells() if not PAYLOADS[cell.sends].database]
    drawn = random.Random(21).sample(every, 60)
    assert wrong(cluster, drawn, tmp_path / "20000101T000000Z-tabl") == []


@pytest.mark.cluster
def test_the_proxies_gauges_prove_where_each_hung_call_waits(
    cluster: Embedded, tmp_path: Path
) -> None:
    # Of a gateway no gauge is read.
    waiting = ("hangs", CLIENT), ("hangs", SERVER)
    rows_there = results.load(page.RECORDED).values()
    hanging = [row for row in rows_there if (row["outcome"], row["by"]) in waiting]
    keys = {row["cell"] for row in random.Random(4).sample(hanging, 40)}
    cells = [cell for cell in plan.cells() if cell.key in keys]
    rows = judged(
        run.measure(cluster, cells, tmp_path / "20000101T000000Z-hang", lambda _line: None), cells
    )
    assert [row.cell.key for row in rows if not row.agrees] == []
    assert [row.cell.key for row in rows if f"wait in the {row.measured.by}" not in row.gauge] == []


@pytest.mark.cluster
@pytest.mark.timeout(1200)  # the servers are built where they never were
def test_queries_of_databases_and_a_datagram_are_as_foretold(
    cluster: Embedded, tmp_path: Path
) -> None:
    cells = [
        Cell("mongo", "mongo", "strict", "sidecar"),
        Cell("mysql", "none", "permissive", "sidecar"),
        Cell("mysql-tls", "mysql", "disable", "none"),
        Cell("redis", "http", "permissive", "none"),
        Cell("udp", "http", "strict", "sidecar"),
    ]
    assert wrong(cluster, cells, tmp_path / "20000101T000000Z-data") == []


@pytest.mark.cluster
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_whole_table_is_as_foretold(cluster: Embedded, tmp_path: Path) -> None:
    found = wrong(cluster, plan.cells(), tmp_path / "20000101T000000Z-whol")
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
