"""The map of a mesh: one word for each caller and destination, the worst first."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.audit import edge_map, edges, folder
from lab.audit.edges import Walked
from lab.model import store


@pytest.fixture(scope="module")
def walked() -> Walked:
    """The mesh of a failure whose configurations are recorded."""
    found = folder.read([store.RECORDED / "sidecar_scope" / "config"])
    return edges.walk_all(folder.inventory(found, ()))


def test_each_caller_and_destination_has_a_word_and_none_is_left_out(walked: Walked) -> None:
    tables = [*edge_map.tables(walked)]
    assert tables
    words = {word for one in tables for row in one.rows for word in row[1:]}
    assert words <= set(edge_map.WORST)
    assert "mTLS" in words
    there = {name for one in tables for name in one.header[1:]}
    called = {f"{one.to.name.partition('.')[0]}:{one.to.port}" for one in walked.edges}
    assert there == called


def test_of_several_ways_the_worst_is_told(walked: Walked) -> None:
    worst = min((edge_map.word(one) for one in walked.edges), key=edge_map.WORST.index)
    first = next(iter(edge_map.tables(walked)))
    assert any(worst in row for one in edge_map.tables(walked) for row in one.rows)
    assert len(first.header) <= edge_map.MOST_COLUMNS + 1


def test_a_page_has_the_map_and_the_findings(tmp_path: Path) -> None:
    from lab.commands.line import main

    page = tmp_path / "audit.html"
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for path in (store.RECORDED / "wrong_version_number" / "config").glob("posted-*.json.gz"):
        (dumps / path.name).write_bytes(path.read_bytes())
    main(["audit", str(dumps), "--page", str(page)])
    text = page.read_text()
    assert "Findings, the worst first" in text
    assert "The figure as a table" in text
