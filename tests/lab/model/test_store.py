"""The run store: never half a file, never a broken link."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from lab.__main__ import main
from lab.common import files
from lab.common.errors import BadArguments
from lab.model import store


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    return tmp_path


def finished() -> Path:
    run = store.new_run()
    files.write_json(run / "summary.json", {})
    store.link_latest(run)
    return run


def test_a_run_is_named_by_its_time_and_found_by_name_and_as_latest() -> None:
    first, second = finished(), finished()
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", first.name)
    assert store.find(first.name) == first
    assert store.find("latest") == second
    assert set(store.stored()) == {first, second}


def test_a_run_that_is_not_finished_is_not_found_and_the_others_are_named() -> None:
    run, other = store.new_run(), finished()
    with pytest.raises(BadArguments, match=other.name):
        store.find(run.name)


def test_a_file_whose_writing_fails_is_as_before_and_leaves_nothing(own_runs: Path) -> None:
    path = own_runs / "file"
    files.write_text(path, "before")
    with pytest.raises(TypeError):
        files.write_bytes(path, "not bytes")
    assert path.read_text() == "before"
    assert list(own_runs.iterdir()) == [path]


def test_a_run_that_was_killed_is_found_by_its_evidence_and_is_inconclusive(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = store.new_run()
    (run / "tcp_mtls").mkdir()
    recorded = store.RECORDED / "tcp_mtls" / "evidence.json"
    shutil.copy(recorded, run / "tcp_mtls" / "evidence.json")
    assert main(["judge", run.name]) == 3
    assert (
        "tcp_mtls: inconclusive: its notebook ended before its verdict" in capsys.readouterr().out
    )
