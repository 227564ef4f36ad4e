"""What the model of Kiali's server tells the console: the edges of the post's graph."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from altered import with_evidence

from lab import failures
from lab.commands.line import main
from lab.judge import stored
from lab.judge.case import Case
from lab.kiali import console
from lab.kiali.answers import Answers, draw
from lab.kiali.serve import serving
from lab.model import store

LOCKS = {"appenders": ["deadNode,securityPolicy"]}


@pytest.fixture(scope="module")
def cases() -> Sequence[Case]:
    """What the post's graph showed: httpbin's edge and tcp-echo's."""
    named = map(failures.load, ("rest_mtls", "tcp_mtls"))
    return [stored.open_case(failure, store.RECORDED) for failure in named]


def answers_of(cases: Sequence[Case], generation: str, world: str = "posted") -> Answers:
    rules = console.named(generation).rules
    return Answers(draw(cases, world, rules).edges, rules)


def drawn(cases: Sequence[Case], generation: str, world: str = "posted") -> dict[str, Any]:
    rules = console.named(generation).rules
    found = draw(cases, world, rules)
    return {one.destination: one.mutual_percent for one in found.edges if one.source == "client"}


def test_the_first_generation_has_a_policy_for_http_and_none_for_tcp(cases: Sequence[Case]) -> None:
    assert drawn(cases, "1.0") == {"httpbin": 100.0, "tcp-echo": None}


@pytest.mark.parametrize("generation", ["1.6", "1.31"])
def test_later_ones_have_a_policy_for_both(cases: Sequence[Case], generation: str) -> None:
    assert drawn(cases, generation) == {"httpbin": 100.0, "tcp-echo": 100.0}


def test_what_passes_through_is_an_edge_to_nobody_known(cases: Sequence[Case]) -> None:
    found = drawn(cases[1:], "1.6", "permissive")
    assert found == {"PassthroughCluster": None, "tcp-echo": 100.0}


def test_the_policy_is_sent_only_where_the_page_asks_for_it(cases: Sequence[Case]) -> None:
    answers = answers_of(cases, "1.6")
    asked, not_asked = (answers.of("namespaces/graph", query) for query in (LOCKS, {}))
    assert {edge["data"].get("isMTLS") for edge in asked["elements"]["edges"]} == {"100"}
    assert not any("isMTLS" in edge["data"] for edge in not_asked["elements"]["edges"])


@pytest.mark.parametrize(("generation", "sent"), [("1.0", "0"), ("1.6", None)])
def test_a_percentage_of_nothing_is_sent_by_servers_before_1_6_only(
    cases: Sequence[Case], generation: str, sent: str | None
) -> None:
    answers = answers_of(cases[:1], generation, "plain")
    told = answers.of("namespaces/graph", LOCKS)["elements"]["edges"]
    assert {edge["data"].get("isMTLS") for edge in told} == {sent}


def test_the_page_and_its_answers_are_served_on_loopback(
    cases: Sequence[Case], tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("the console")
    chosen = console.named("1.0")
    answers = answers_of(cases, "1.0")
    with serving(chosen, tmp_path, answers) as address:
        assert address.startswith("http://127.0.0.1:")
        place = address.partition("/console")[0]
        assert read(address) == b"the console"
        assert json.loads(read(f"{place}/api/mesh/tls")) == {"status": "MTLS_NOT_ENABLED"}
        assert b"#graph_settings" in read(f"{place}/env.js")


def test_an_edge_has_the_statuses_that_the_proxies_logged() -> None:
    case = stored.open_case(failures.load("grpc_h2c"), store.RECORDED)
    edges = draw([case], "posted", console.named("1.6").rules).edges
    found = {one.destination: dict(one.amounts) for one in edges if one.source == "client"}
    refused = found["grpcbin"]
    assert refused["403"] > 0
    told = answers_of([case], "1.6").of("namespaces/graph", LOCKS)["elements"]["edges"]
    rates = [one["data"]["traffic"]["rates"] for one in told]
    assert any(float(one.get("httpPercentErr", 0)) > 0 for one in rates)


def test_calls_whose_series_are_not_known_are_named_and_not_drawn(tmp_path: Path) -> None:
    """Istio's own filters count for themselves: of their proxies nothing is derived."""

    def with_filters(told: dict[str, Any]) -> None:
        for pod in told["worlds"]["posted"]["pods"].values():
            pod["flavour"] = "istio" if pod["sidecar"] else ""

    case = with_evidence("rest_mtls", with_filters, tmp_path)
    found = draw([case], "posted", console.named("1.0").rules)
    assert found.edges == []
    assert "rest_mtls get" in found.unknown
    assert "Istio's own metrics" in found.unknown["rest_mtls get"]
    assert not any(call.endswith("policy") for call in found.unknown), "a call to the API"


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
