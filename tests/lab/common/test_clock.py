"""A clock that is set while packets are recorded: what is joined by it is no evidence any more."""

from __future__ import annotations

import dataclasses
import json
import runpy
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import recordings

import lab
from lab import failures
from lab.common import clock
from lab.judge.case import Case
from lab.judge.replay import RecordedRun
from lab.judge.verdict import Verdict, judge
from lab.model.evidence import CLOCK_SLACK, CallRecord, Evidence
from lab.model.failure import Failure
from lab.notebook import execute
from lab.notebook.run import NotebookRun

UPTIME = 1_700_000_000.0


def recorded(name: str) -> tuple[Failure, Evidence, Path]:
    return recordings.parts(recordings.case(name))


def clocked(found: Evidence, steps: Sequence[float], world: str, act: str = "") -> Evidence:
    """Recorded calls with what a clock told that was set by `steps` before and after one of them.

    The one is the second of this world and act: later ones are on the clock as it was then.
    """
    calls: list[CallRecord] = []
    made = 0
    for call in found.calls:
        ours = (call.world, call.act) == (world, act)
        made += ours
        before, after = (0.0, 0.0) if not ours or made < 2 else (steps[0], sum(steps))
        if ours and made > 2:
            before = after
        calls.append(
            dataclasses.replace(
                call,
                started=call.started + before,
                ended=call.ended + after,
                clock=UPTIME + before,
                clock_after=UPTIME + after,
            )
        )
    return dataclasses.replace(found, calls=tuple(calls))


def why(verdict: Verdict) -> dict[str, tuple[str, str]]:
    """Of each claim: what is said of it as posted, and why."""
    return {one.id: (one.as_posted.word, one.as_posted.why) for one in verdict.claims}


def test_the_distance_of_the_clocks_stays_where_nobody_sets_one() -> None:
    looks = []
    began = time.monotonic()
    while time.monotonic() - began < 0.5:
        looks.append(clock.ahead())
    assert len(looks) > 100
    looks.sort()
    assert looks[int(len(looks) * 0.98)] - looks[int(len(looks) * 0.02)] < CLOCK_SLACK


@pytest.mark.parametrize("name", failures.names())
def test_a_clock_that_runs_on_changes_no_verdict(name: str) -> None:
    failure, found, folder = recorded(name)
    on_a_clock = clocked(found, (0.0, 0.0), "posted")
    assert why(judge(Case(failure, on_a_clock, folder))) == why(recordings.verdict(name))


@pytest.mark.parametrize("name", failures.names())
@pytest.mark.parametrize(
    "steps",
    [(0.0, 3600.0), (0.0, -3600.0), (3600.0, 0.0), (-2.0, 0.0), (0.05, 0.0)],
    ids=["forward in a call", "back in a call", "forward between", "back between", "a little"],
)
def test_a_clock_that_is_set_makes_that_worlds_calls_inconclusive_and_says_why(
    name: str, steps: tuple[float, float]
) -> None:
    failure, found, folder = recorded(name)
    verdict = judge(Case(failure, clocked(found, steps, "posted"), folder))
    before = recordings.verdict(name)
    reasons = []
    for said, known in zip(verdict.said, before.said, strict=True):
        for (_, now), (_, then) in zip(_answers(said), _answers(known), strict=True):
            assert now[0] in (then[0], "inconclusive")
            reasons.append(now[1])
    told = "ended before it began" if steps[1] < 0 else "the clock was set by "
    assert any(told in reason for reason in reasons), reasons
    assert verdict.exit_code == 3


def _answers(said: object) -> list[tuple[str, tuple[str, str]]]:
    answers = getattr(said, "answers", None)
    if answers:
        return [(name, (one.word, one.why)) for name, one in answers]
    return [("", (said.word, said.why))]


def test_what_is_below_the_slack_is_no_step() -> None:
    failure, found, folder = recorded("tcp_mtls")
    slewed = clocked(found, (0.0, CLOCK_SLACK / 2), "posted")
    assert why(judge(Case(failure, slewed, folder))) == why(recordings.verdict("tcp_mtls"))


def test_another_world_and_another_act_are_judged_as_ever() -> None:
    failure, found, folder = recorded("tcp_mtls")
    verdict = judge(Case(failure, clocked(found, (0.0, 3600.0), "posted", "remedies"), folder))
    assert why(verdict) == why(recordings.verdict("tcp_mtls")), (
        "claims rest on calls without a remedy"
    )
    inconclusive = [one.why for one in verdict.remedies if one.word == "inconclusive"]
    assert any("the clock was set by 3600.000 s while packets of posted" in w for w in inconclusive)
    assert all(w.count("the clock was set") <= 1 for w in inconclusive), "each reason is said once"


def test_evidence_without_clocks_whose_call_ends_before_it_begins_is_noticed() -> None:
    failure, found, folder = recorded("tcp_mtls")
    calls = [
        dataclasses.replace(call, ended=call.started - 1) if call.name == "tcp-foo" else call
        for call in found.calls
    ]
    verdict = judge(Case(failure, dataclasses.replace(found, calls=tuple(calls)), folder))
    word, reason = why(verdict)["C2"]
    assert word == "inconclusive"
    assert "a call of posted ended before it began: the clock was set meanwhile" in reason


@pytest.mark.parametrize("name", failures.names())
def test_a_notebook_is_told_to_its_end_whatever_its_clock_did(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failure, found, _ = recorded(name)
    run = RecordedRun(failure, found.parameters)
    run.case = Case(run.failure, clocked(found, (60.0, 0.0), "posted"), run.folder)
    monkeypatch.setattr(lab, "open_run", lambda *_, **__: NotebookRun(run, "as recorded"))
    said: list[str] = []
    around = {"display": lambda *shown: said.extend(map(repr, shown))}
    cells = json.loads((execute.NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
    told = tmp_path / "told.py"
    told.write_text("\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code"))
    runpy.run_path(str(told), around)
    assert any("inconclusive" in text for text in said)
    if name == "tcp_mtls":
        assert "tcp-foo cannot be drawn: the clock was set by 60.000 s" in "".join(said)
