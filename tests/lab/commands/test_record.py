"""`istio-lab record`: what a run is kept as, and whether pins speak of its stack."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from pathlib import Path

import pytest

from lab import failures
from lab.commands import record
from lab.common.errors import BadArguments
from lab.model import evidence, store

NAME = "rest_mtls"
TURNED = store.TURNED / f"{NAME}-turned"


def refuse(folder: Path, *, turned: bool) -> None:
    record.refuse_other(failures.load(NAME), evidence.load(folder), folder, turned=turned)


@pytest.mark.parametrize("name", failures.names())
def test_committed_evidence_is_not_refused_as_what_it_is_kept_as(name: str) -> None:
    failure = failures.load(name)
    for folder, turned in (
        (store.RECORDED / name, False),
        (store.TURNED / f"{name}-turned", True),
    ):
        record.refuse_other(failure, evidence.load(folder), folder, turned=turned)


def test_a_run_with_parameters_is_not_recorded_as_the_one_without() -> None:
    with pytest.raises(BadArguments, match=r"made with .*=.*; evidence/ is recorded without"):
        refuse(TURNED, turned=False)


def test_a_run_without_parameters_is_not_kept_as_turned() -> None:
    with pytest.raises(BadArguments, match="nothing in it is turned round") as refused:
        refuse(store.RECORDED / NAME, turned=True)
    assert "make reproduce FAILURE=rest_mtls PARAMS=mtls=PERMISSIVE" in str(refused.value)


def test_a_run_in_which_no_word_has_turned_is_not_kept_as_turned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store, "RECORDED", tmp_path)
    (tmp_path / NAME).symlink_to(TURNED)
    with pytest.raises(BadArguments, match="same words as evidence/rest_mtls: nothing has turned"):
        refuse(TURNED, turned=True)


def test_a_turned_run_is_not_kept_before_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store, "RECORDED", tmp_path)
    with pytest.raises(BadArguments, match="evidence/rest_mtls is not there"):
        refuse(TURNED, turned=True)


def test_it_tells_whether_pins_speak_of_the_runs_stack() -> None:
    found = evidence.load(store.RECORDED / "tcp_mtls")
    told = "pins speak of this run's stack: embedded: Istio 1.31, Envoy 1.38.3"
    assert record._claimable(found) == told
    found.stack["envoy"] = "1.39.0"
    assert record._claimable(found).startswith("no pin speaks of this run's stack: ")
    assert "Envoy 1.39.0; add it to MEASURED in lab/model/pins.py" in record._claimable(found)


def test_of_a_run_in_which_one_failure_is_refused_nothing_is_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(store.RECORDED / "grpc_h2c", tmp_path / "run" / "grpc_h2c")
    shutil.copytree(TURNED, tmp_path / "run" / NAME)
    monkeypatch.setattr(store, "RECORDED", tmp_path / "recorded")
    with pytest.raises(BadArguments, match="evidence/ is recorded without parameters"):
        record.run(argparse.Namespace(run=str(tmp_path / "run"), turned=False))
    assert not (tmp_path / "recorded").exists()


def test_a_claim_without_a_pin_is_named_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(store.RECORDED / NAME, tmp_path / "run" / NAME)
    failure = failures.load(NAME)
    claims = (dataclasses.replace(failure.claims[0], pins=()), *failure.claims[1:])
    unpinned = dataclasses.replace(failure, claims=claims)
    monkeypatch.setattr(failures, "load", lambda _name: unpinned)
    monkeypatch.setattr(store, "RECORDED", tmp_path / "recorded")
    monkeypatch.setattr(store, "ROOT", tmp_path)
    record.run(argparse.Namespace(run=str(tmp_path / "run"), turned=False))
    place, _stack, told, *other = capsys.readouterr().out.splitlines()
    assert place == f"recorded/{NAME}"
    assert f"{claims[0].id} has no pin: write the words that a run shows" in told
    assert not other
