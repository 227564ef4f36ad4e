"""The committed notebooks, executed from recorded evidence, say what they are committed with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_notebook.nb_regression import NBRegressionError, NBRegressionFixture

from lab import failures
from lab.notebook import execute

pytestmark = pytest.mark.slow  # each notebook is executed

NOTEBOOKS = sorted(execute.NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture
def executed(
    nb_regression: NBRegressionFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> NBRegressionFixture:
    monkeypatch.setenv("LAB_CLUSTER", "recorded")
    monkeypatch.setenv("LAB_LESSONS", str(tmp_path / "lessons.json"))
    monkeypatch.setenv("LAB_WIDGETS", "0")
    nb_regression.diff_ignore = (
        "/metadata",
        "/nbformat_minor",
        "/cells/*/metadata",
        "/cells/*/execution_count",
        "/cells/*/outputs/*/execution_count",
    )
    nb_regression.diff_color_words = False
    return nb_regression


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_it_is_committed_with(
    path: Path, executed: NBRegressionFixture
) -> None:
    yours = [number for number, cell in enumerate(cells(path)) if execute.YOURS in tags(cell)]
    executed.diff_ignore += tuple(f"/cells/{number}/outputs" for number in yours)
    executed.check(str(path))
    assert all(cells(path)[number]["outputs"] == [] for number in yours)


def test_a_notebook_that_says_otherwise_is_noticed(
    tmp_path: Path, executed: NBRegressionFixture
) -> None:
    text = (execute.NOTEBOOKS / "tcp_mtls.ipynb").read_text()
    assert "not reproduced" in text
    path = tmp_path / "tcp_mtls.ipynb"
    path.write_text(text.replace("not reproduced", "reproduced"))
    with pytest.raises(NBRegressionError, match="reproduced"):
        executed.check(str(path))


def cells(path: Path) -> list[dict]:
    found: list[dict] = json.loads(path.read_text())["cells"]
    return found


def tags(cell: dict) -> list[str]:
    found: list[str] = cell["metadata"].get("tags", [])
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_half_prose_and_plain(path: Path) -> None:
    found = cells(path)
    code = ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]
    assert 12 <= len(found) <= 22
    assert 0.35 <= len(code) / len(found) <= 0.65
    for source in code:
        assert 1 <= len([line for line in source.splitlines() if line.strip()]) <= 5
        assert not [
            w for w in ("def ", "class ", "try:", "for ", "while ", "%", "!") if w in source
        ]


def test_every_failure_has_its_notebook_and_its_recorded_evidence() -> None:
    assert {path.stem for path in NOTEBOOKS} == {
        *("00_start_here", "truth_table", "port_names", "mtls_cost"),
        *failures.names(),
    }
