"""What a run tells: the terminal's table, Markdown, JUnit, the figure."""

from __future__ import annotations

import dataclasses
import re
from xml.etree import ElementTree

import pytest
import recordings

from lab import failures
from lab.commands.show import story, table
from lab.judge.case import Case
from lab.judge.verdict import Verdict, judge
from lab.render import junit, tables
from lab.render.display import Table
from lab.render.edges_figure import picture
from lab.render.wording import policies

NAMES = failures.names()
FIRST_BYTES = re.compile(r"(?:[0-9a-f]{2} ){8}")


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_table_fits_its_terminal(width: int) -> None:
    text = table(NAMES, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert all(claim.id in text for verdict in recordings.verdicts() for claim in verdict.claims)


@pytest.mark.parametrize("name", NAMES)
def test_a_story_has_symptom_bytes_verdict_and_sources_and_says_recorded(name: str) -> None:
    text = story(name, 80)
    assert "RECORDED on 20" in text
    for word in ("Symptom:", "REPRODUCED", "marker read ", "Sources:"):
        assert word in text
    assert FIRST_BYTES.search(text) or "nothing crossed; marker read 0x" in text
    lines = [line for line in text.splitlines() if "$ " not in line and "http" not in line]
    assert max(len(line) for line in lines) <= 80


def test_a_row_is_never_cut_however_narrow() -> None:
    whole = Table("", ("a", "b"), (("x" * 30, "y z " * 20),)).text(24)
    assert "".join(whole.split()).count("x") == 30
    assert whole.count("y") == 20


def test_a_cluster_that_failed_is_told_once_for_all_failures_and_nothing_is_concluded() -> None:
    broken = []
    for name in NAMES:
        failure, found, folder = recordings.parts(recordings.case(name))
        found = dataclasses.replace(found, trouble="a node died")
        broken.append(judge(Case(failure, found, folder)))
    assert {verdict.exit_code for verdict in broken} == {3}
    told = [line for line in tables.terminal(broken, 100).splitlines() if "a node died" in line]
    assert told == [f"{', '.join(NAMES)}: nothing can be concluded: a node died"]


def differing(verdict: Verdict) -> Verdict:
    first = dataclasses.replace(verdict.claims[0], agreement="differs", pinned=("a", "b"))
    return dataclasses.replace(verdict, claims=(first, *verdict.claims[1:]))


def test_junit_has_a_case_for_each_answer_and_fails_those_that_differ() -> None:
    first, *rest = recordings.verdicts()
    suite = ElementTree.fromstring(junit.junit([differing(first), *rest], {"gone": "why"}, 1.0))
    cases = list(suite.iter("testcase"))
    answers = sum(2 * len(one.claims) + len(one.remedies) for one in (first, *rest))
    assert len(cases) == answers + 1
    failed = {case.get("name") for case in cases if case.find("failure") is not None}
    told = first.claims[0].id
    assert failed == {f"{told} as posted", f"{told} today's form"}
    unsure = [case.get("classname") for case in cases if case.find("error") is not None]
    assert unsure == ["gone"]


def test_a_claim_that_differs_is_explained_on_the_terminal() -> None:
    text = tables.terminal([differing(recordings.verdicts()[0])], 100)
    assert "differs" in text
    assert "expected a / b" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_the_same_each_time_and_says_all_in_words_too(name: str) -> None:
    case = recordings.case(name)
    first, second = picture(case), picture(case)
    assert first.svg == second.svg
    assert first.svg.startswith("<?xml")
    shown = [row[3] for row in first.table.rows]
    assert f"{len(shown)} edges" in first.alt
    for word, drawn in (("mutual TLS", "[locked]"), ("plaintext", "[open]")):
        assert (f"{shown.count(word)} {word}" in first.alt) == (word in shown)
        assert (drawn in first.svg) == (word in shown)


def test_an_edge_ends_where_its_packets_went_and_names_who_was_asked() -> None:
    rows = picture(recordings.case("hijacked_port")).table.rows
    assert {row[-1]: row[2] for row in rows} == {
        "one": "one:9101",
        "two-stranger": "two:9101",
        "two": "one:9101 (two was asked)",
    }


def test_a_call_that_hung_is_not_called_refused() -> None:
    rows = picture(recordings.case("who_speaks_first")).table.rows
    assert {row[4] for row in rows if row[-1] in ("unnamed", "stranger")} == {"hang"}


def test_the_graphs_of_2019_and_today_stand_beside_the_wire_in_the_summary() -> None:
    summary = {"run": "r", "cluster": "recorded", "exit_code": 0, "command": "make"}
    lines = tables.markdown(summary, recordings.verdicts()).splitlines()
    told = [number for number, line in enumerate(lines) if line.startswith("    graph        ")]
    assert len(told) == 1, "one claim of the post was read off a missing lock"
    text = " ".join(" ".join(lines[told[0] : told[0] + 4]).split())
    assert "graph not reproduced on the wire; reproduced in a Kiali graph of 2019" in text
    assert max(len(line) for line in lines[told[0] : told[0] + 4]) <= 100


def test_each_answer_stands_beside_what_was_asked() -> None:
    failure = recordings.case("http10_plaintext").failure
    shown = tables.questions_table(failure, recordings.verdict(failure.name))
    asked = [question for one in failure.claims for question in (one.as_posted, one.today)]
    assert len(shown.rows) == len(asked)
    assert all(one.question in row[1] for one, row in zip(asked, shown.rows, strict=True))


def test_a_world_is_described_by_its_own_mode_and_the_names_of_its_other_policies() -> None:
    def told(name: str, world: str) -> str:
        case = recordings.case(name)
        return policies(case.failure.world(world), case.evidence.worlds[world])

    assert told("wrong_version_number", "numbered") == (
        "PeerAuthentication httpbin, DestinationRule none"
    )
    assert told("old_answers", "posted") == "PeerAuthentication STRICT, DestinationRule ruled"
    assert told("rest_mtls", "posted") == "PeerAuthentication STRICT, DestinationRule ISTIO_MUTUAL"
