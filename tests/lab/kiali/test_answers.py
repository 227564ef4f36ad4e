"""What the model of Kiali's server tells the console: the edges of the post's graph."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab import failures
from lab.commands.line import main
from lab.judge import stored
from lab.judge.case import Case
from lab.kiali import console
from lab.kiali.answers import Answers, edges
from lab.kiali.serve import serving
from lab.model import store

LOCKS = {"appenders": ["deadNode,securityPolicy"]}


@pytest.fixture(scope="module")
def cases() -> Sequence[Case]:
    """What the post's graph showed: httpbin's edge and tcp-echo's."""
    named = map(failures.load, ("rest_mtls", "tcp_mtls"))
    return [stored.open_case(failure, store.RECORDED) for failure in named]


def drawn(cases: Sequence[Case], generation: str, world: str = "posted") -> dict[str, Any]:
    rules = console.named(generation).rules
    found = edges(cases, world, rules)
    return {one.destination: one.mutual_percent for one in found if one.source == "client"}


def test_the_first_generation_has_a_policy_for_http_and_none_for_tcp(cases: Sequence[Case]) -> None:
    assert drawn(cases, "1.0") == {"httpbin": 100.0, "tcp-echo": None}


@pytest.mark.parametrize("generation", ["1.6", "1.31"])
def test_later_ones_have_a_policy_for_both(cases: Sequence[Case], generation: str) -> None:
    assert drawn(cases, generation) == {"httpbin": 100.0, "tcp-echo": 100.0}


def test_what_passes_through_is_an_edge_to_nobody_known(cases: Sequence[Case]) -> None:
    found = drawn(cases[1:], "1.6", "permissive")
    assert found == {"PassthroughCluster": None, "tcp-echo": 100.0}


def test_the_policy_is_sent_only_where_the_page_asks_for_it(cases: Sequence[Case]) -> None:
    answers = Answers(cases, "posted", console.named("1.6").rules)
    asked, not_asked = (answers.of("namespaces/graph", query) for query in (LOCKS, {}))
    assert {edge["data"].get("isMTLS") for edge in asked["elements"]["edges"]} == {"100"}
    assert not any("isMTLS" in edge["data"] for edge in not_asked["elements"]["edges"])


@pytest.mark.parametrize(("generation", "sent"), [("1.0", "0"), ("1.6", None)])
def test_a_percentage_of_nothing_is_sent_by_servers_before_1_6_only(
    cases: Sequence[Case], generation: str, sent: str | None
) -> None:
    answers = Answers(cases[:1], "plain", console.named(generation).rules)
    told = answers.of("namespaces/graph", LOCKS)["elements"]["edges"]
    assert {edge["data"].get("isMTLS") for edge in told} == {sent}


def test_the_page_and_its_answers_are_served_on_loopback(
    cases: Sequence[Case], tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("the console")
    chosen = console.named("1.0")
    answers = Answers(cases, "posted", chosen.rules)
    with serving(chosen, tmp_path, answers) as address:
        assert address.startswith("http://127.0.0.1:")
        place = address.partition("/console")[0]
        assert read(address) == b"the console"
        assert json.loads(read(f"{place}/api/mesh/tls")) == {"status": "MTLS_NOT_ENABLED"}
        assert b"#graph_settings" in read(f"{place}/env.js")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--generation", "2.0"], "no generation '2.0' of Kiali's console"),
        (["--world", "mars"], "rest_mtls has no world 'mars'"),
    ],
)
def test_what_there_is_none_of_is_told_with_what_there_is(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kiali", "recorded", *words]) == 254
    assert said in capsys.readouterr().err


def read(address: str) -> bytes:
    with urllib.request.urlopen(address) as answer:
        return bytes(answer.read())
