"""The truth table's page: its figures say in words what they show, and it leads nowhere else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from lab.commands import report, table_page
from lab.model import store
from lab.truth_table import results
from lab.truth_table.recorded import NAME

RECORDED = Path(__file__).parents[1] / "truth_table" / "recorded"
pytestmark = pytest.mark.slow  # figures are drawn


@pytest.fixture
def run(tmp_path: Path) -> Path:
    place = tmp_path / "20260101T000000Z-0000"
    shutil.copytree(RECORDED, place / NAME)
    return place


def test_the_page_has_each_heat_map_with_its_words_and_its_table(run: Path) -> None:
    written = table_page.write(run)
    assert written
    text = written.read_text()
    figures = re.findall(r'<svg[^>]* role="img" aria-label="([^"]+)"', text)
    assert [one.partition(":")[0] for one in figures] == [
        "policy permissive, caller sidecar",
        "policy permissive, caller none",
    ]
    assert text.count("The figure as a table") == len(figures)
    assert "answered in plaintext between two sidecars" in text
    assert "<dt>as foretold</dt><dd>48 of 48</dd>" in text
    assert "<script" not in text
    assert not re.findall(r'(?:href|src)="(?!#|data:)', text)


def test_a_cell_that_was_not_foretold_is_listed(run: Path) -> None:
    table = run / NAME / results.CSV
    table.write_text(table.read_text().replace(",True\n", ",False\n", 1))
    written = table_page.write(run)
    assert written
    assert "Not as foretold" in written.read_text()


def test_a_run_without_a_table_has_no_such_page(tmp_path: Path) -> None:
    assert table_page.write(tmp_path) is None


def test_report_writes_the_page_of_a_run_that_has_a_table_only(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    monkeypatch.setattr(store, "runs", lambda: run.parent)
    assert report.run(argparse.Namespace(runs=[run.name], kiali=False)) == 0
    assert capsys.readouterr().out.count("Report: ") == 1
    assert (run / NAME / table_page.INDEX).is_file()
