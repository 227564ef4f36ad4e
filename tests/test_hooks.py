"""The hooks in tests/support: which tests they leave out, and what they keep of failed ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.model import store

pytestmark = pytest.mark.slow  # starts pytest itself

CONFTEST = """
import pathlib, kept, pytest
kept.KEPT = pathlib.Path(__file__).parent / "kept"
pytest_plugins = ["kept", "selection"]
"""
# Written in parts, or this file itself would be taken for one with tests on a cluster.
CLUSTER = "pytest." + "mark.cluster"
TESTS = """
import pytest

mark = pytest.mark

RUN = "20260101T000000Z-0000"

def recorded(folder, run=RUN):
    (folder / run / "rest_mtls").mkdir(parents=True)
    (folder / run / "rest_mtls" / "evidence.json").write_text("{}")

@pytest.fixture(scope="module")
def recorded_before(tmp_path_factory):
    recorded(tmp_path_factory.mktemp("m"), "20260102T000000Z-0000")
    raise ValueError("the second run failed")

def test_quick():
    pass

@mark.cluster
def test_that_passes(tmp_path):
    recorded(tmp_path / "runs")

@mark.cluster
def test_that_fails(tmp_path):
    recorded(tmp_path / "runs")
    assert False

@mark.kind
def test_whose_fixture_fails(recorded_before):
    pass

@mark.long
def test_that_is_long():
    pass
"""


def outcome(folder: Path, *words: str) -> str:
    """What pytest says of TESTS."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TESTS)
    path = os.pathsep.join([str(store.ROOT / "tests" / "support"), str(store.ROOT)])
    argv = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *words]
    env = {**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""}
    env.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What pytest said, and where it keeps runs."""
    folder = tmp_path_factory.mktemp("hooks")
    return outcome(folder), folder / "kept"


def test_of_a_failed_test_its_runs_are_kept_and_named(said: tuple[str, Path]) -> None:
    text, kept = said
    run = kept / "test_it.py_test_that_fails" / "20260101T000000Z-0000"
    assert (run / "rest_mtls" / "evidence.json").read_text() == "{}"
    assert "what its runs recorded" in text
    assert str(run) in text


def test_of_a_test_whose_fixture_failed_what_the_fixture_recorded_is_kept(
    said: tuple[str, Path],
) -> None:
    run = said[1] / "test_it.py_test_whose_fixture_fails" / "20260102T000000Z-0000"
    assert (run / "rest_mtls" / "evidence.json").exists()


def test_of_a_test_that_passed_nothing_is_kept(said: tuple[str, Path]) -> None:
    assert sorted(path.name for path in said[1].iterdir()) == [
        "test_it.py_test_that_fails",
        "test_it.py_test_whose_fixture_fails",
    ]


def test_a_long_test_runs_only_where_it_is_asked_for(
    said: tuple[str, Path], tmp_path: Path
) -> None:
    assert "test_that_is_long" not in said[0]
    assert "1 deselected" in said[0]
    assert "test_that_is_long PASSED" in outcome(tmp_path, "-m", "long")


def test_on_clusters_run_first_and_on_kind_last_of_them(said: tuple[str, Path]) -> None:
    lines = [line for line in said[0].splitlines() if "::" in line and "%]" in line]
    ran = [line.split("::")[1].split()[0] for line in lines]
    assert ran == ["test_that_passes", "test_that_fails", "test_whose_fixture_fails", "test_quick"]


def test_files_that_use_the_machine_share_a_worker_and_the_others_do_not_wait(
    tmp_path: Path,
) -> None:
    for name in ("a", "b", "c"):
        mark = f"@{CLUSTER}\n" if name != "c" else ""
        text = f"import pytest, time\n\n{mark}def test_{name}():\n    time.sleep(0.5)\n"
        (tmp_path / f"test_{name}.py").write_text(text)
    side_by_side = ("-n", "2", "--dist", "loadscope", "--no-loadscope-reorder")
    said = outcome(tmp_path, *side_by_side, "-m", "not long", "-k", "test_a or test_b or test_c")
    found = re.findall(r"^\[(gw\d)\].*::(test_[abc])\b", said, re.MULTILINE)
    workers = {test: worker for worker, test in found}
    assert workers["test_a"] == workers["test_b"] != workers["test_c"]
