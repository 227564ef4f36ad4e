"""The runner's codes: only a verdict counts, and the worst decides."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

import lab
from lab import failures
from lab.commands import finish, plan, side_by_side
from lab.common.errors import BadArguments
from lab.model import store
from lab.model.pins import Pin

pytestmark = pytest.mark.usefixtures("undrawn")  # a run that is finished has its page written


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def stored(own_runs: Path, *names: str) -> Path:
    run = store.new_run()
    for name in names:
        shutil.copytree(store.RECORDED / name, run / name)
    return run


def summary_of(run: Path) -> dict:
    found: dict = json.loads((run / "summary.json").read_text())
    return found


def test_all_as_pinned_ends_with_0_and_the_summary_says_all(
    own_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stored(own_runs, *failures.names())
    monkeypatch.setenv("LAB_RUN", str(run))
    lab.open_cells("recorded")
    wanted = plan.plan([], {}, "recorded", False)
    assert finish.finish(wanted, run, 1.0) == 0
    found = summary_of(run)
    assert found["verdicts"]["tcp_mtls"]["C2"]["as_posted"] == "not reproduced"
    assert found["verdicts"]["port_names"]["C5"]["today"] == "reproduced"
    assert found["stack"]["istio"].startswith("1.31")
    assert found["started"]["istiod"] > 1.7e9
    assert all(at > 1.7e9 for at in found["started"]["rest_mtls"].values())
    assert found["command"] == "make reproduce CLUSTER=recorded"
    assert found["remedies"]["tcp_mtls"]["gateway-mutual"]["word"] == "heals"
    ElementTree.parse(run / "junit.xml")
    assert "| C2 |" in (run / "summary.md").read_text()
    assert (own_runs / "latest").resolve() == run


@pytest.mark.parametrize("gone", ["verdict.json", "evidence.json"])
def test_a_run_without_verdict_or_evidence_is_inconclusive(gone: str, own_runs: Path) -> None:
    run = stored(own_runs, "rest_mtls", "tcp_mtls")
    (run / "tcp_mtls" / gone).unlink()
    (run / "tcp_mtls" / "notebook.log").write_text("SystemExit: 0\n")
    assert finish.finish(plan.plan([], {}, "recorded", False), run, 1.0) == 3
    assert "tcp_mtls" in summary_of(run)["missing"]


def test_a_verdict_that_differs_weighs_more_than_one_that_is_missing(own_runs: Path) -> None:
    run = stored(own_runs, "tcp_mtls")
    wanted = plan.plan([], {}, "recorded", False)
    pins = (Pin(("reproduced", "reproduced"), "as the post has it"),)
    changed = tuple(
        dataclasses.replace(
            failure,
            claims=(
                dataclasses.replace(failure.claims[0], pins=pins),
                *failure.claims[1:],
            ),
        )
        if failure.name == "tcp_mtls"
        else failure
        for failure in wanted.failures
    )
    assert finish.finish(dataclasses.replace(wanted, failures=changed), run, 1.0) == 1
    assert summary_of(run)["verdicts"]["tcp_mtls"]["C2"]["agreement"] == "differs"
    assert summary_of(run)["missing"]


def test_what_does_not_exist_is_refused_before_anything_starts(own_runs: Path) -> None:
    for names, given, stack, said in (
        (["tcp_mlts"], {}, {}, "tcp_mtls"),
        (["tcp_mtls"], {"mode": "STRICT"}, {}, "mtls"),
        (["tcp_mtls"], {"mtls": "OFF"}, {}, "DISABLE"),
        (["tcp_mtls"], {}, {"LAB_ISTIO": "1.30"}, "cannot be chosen with --cluster recorded"),
    ):
        with pytest.raises(BadArguments, match=said):
            plan.plan(names, given, "recorded", False, stack)
    assert not own_runs.exists()


def test_the_command_that_repeats_a_run_names_all_that_make_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAB_BINARIES", "built")
    before = dict(os.environ)
    stack = {"LAB_ISTIO": "1.30", "LAB_ENVOY": "1.40.0"}
    wanted = plan.plan(["tcp_mtls"], {"mtls": "DISABLE"}, "embedded", False, stack)
    told = "make reproduce ISTIO=1.30 ENVOY=1.40.0 BINARIES=built FAILURE=tcp_mtls"
    assert wanted.command == f"{told} PARAMS='mtls=DISABLE' CLUSTER=embedded"
    assert wanted.title == "embedded, Istio 1.30, Envoy 1.40.0"
    assert dict(os.environ) == before


def test_only_clusters_that_differ_and_are_the_labs_own_are_put_side_by_side(
    own_runs: Path,
) -> None:
    one = plan.plan(["tcp_mtls"], {}, "embedded", False, {"LAB_ISTIO": "1.30"})
    recorded = plan.plan(["tcp_mtls"], {}, "recorded", False)
    for plans in ([one, one], [one, recorded]):
        with pytest.raises(BadArguments, match=r"embedded, Istio 1\.30; .*each named once"):
            side_by_side.run_several(plans, 100)
    assert not own_runs.exists()


def test_recorded_evidence_refuses_other_parameters_and_names_those_it_has() -> None:
    from lab.judge.replay import RecordedRun

    with pytest.raises(BadArguments, match="mtls=STRICT port_name=udp-foo rule=ISTIO_MUTUAL"):
        RecordedRun(failures.load("tcp_mtls"), {"mtls": "DISABLE", "rule": "DISABLE"})
