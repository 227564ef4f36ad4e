"""What istioctl said is shown beside the verdicts, and decides none."""

from __future__ import annotations

import dataclasses

from lab.commands.show import recorded_run
from lab.judge.case import Case
from lab.judge.verdict import judge
from lab.render import tools


def test_each_command_is_shown_with_its_answer() -> None:
    told = tools.lines(recorded_run("authorization_or_mtls").evidence)
    assert told[0] == tools.TITLE
    assert told[1].startswith("  $ istioctl analyze --namespace with-istio")
    assert "[IST0133]" in told[2]
    assert any("x describe pod" in line for line in told)


def test_one_world_can_be_shown_alone() -> None:
    found = recorded_run("deny_bypassed").evidence
    whole, posted = (tools.lines(found, world) for world in ("", "posted"))
    assert len(posted) < len(whole)
    assert {*posted} <= {*whole}


def test_nothing_is_shown_where_it_was_not_asked() -> None:
    assert tools.lines(recorded_run("tcp_mtls").evidence) == []


def test_no_verdict_rests_on_it() -> None:
    run = recorded_run("authorization_or_mtls")
    worlds = {
        name: dataclasses.replace(world, tools=()) for name, world in run.evidence.worlds.items()
    }
    without = dataclasses.replace(run.evidence, worlds=worlds)
    assert judge(Case(run.failure, without, run.folder)) == run.judge()
