"""A combination is chosen, walked by the kept configuration, and shown beside what was measured."""

from __future__ import annotations

import pytest

from lab.common.errors import BadArguments
from lab.model import store
from lab.truth_table import plan, predictions, results
from lab.truth_table.kept_mesh import KeptMesh
from lab.truth_table.one_call import AXES, OneCall, open_call


@pytest.fixture(scope="module")
def call() -> OneCall:
    return open_call()


def test_every_choice_has_a_walk_and_a_measured_cell(call: OneCall) -> None:
    kept, rows = KeptMesh(), results.load(store.RECORDED / "truth_table")
    core = {cell.key for cell in plan.core()}
    assert core == kept.calls.keys()
    assert core <= rows.keys()
    offered = {cell.key for cell in plan.core() if cell.sends in AXES["sends"]}
    assert len(offered) > 1000


def test_the_kept_configuration_is_walked_as_the_recorded_one_was() -> None:
    kept, rows = KeptMesh(), results.load(store.RECORDED / "truth_table")
    otherwise = []
    for key in kept.calls:
        ways = [predictions.of_way(way) for way in kept.ways(key)]
        told = {(one.outcome, one.by, str(one.status), one.wire) for one in ways}
        row = rows[key]
        names = ("foretold_outcome", "foretold_by", "foretold_status", "foretold_wire")
        if tuple(row[name] for name in names) not in told:
            otherwise.append(key)
    assert otherwise == []


@pytest.mark.parametrize(
    ("picked", "shown"),
    [
        ({"port_name": "http", "sends": "http1.1"}, "network: [locked] mutual TLS"),
        (
            {"port_name": "unknown", "sends": "line", "caller": "none"},
            "server's sidecar: [refused] filter_chain_not_found",
        ),
        (
            {"port_name": "none", "sends": "server-first", "policy": "permissive"},
            "client's sidecar: [hangs]",
        ),
        (
            {"port_name": "udp", "sends": "line", "policy": "permissive"},
            "network: [open] plaintext",
        ),
        ({"port_name": "tcp", "sends": "tls"}, "server: is given TLS"),
    ],
)
def test_a_walk_is_drawn_with_what_happens_at_each_place_in_words(
    picked: dict[str, str], shown: str
) -> None:
    told = repr(open_call().choose(**picked).walk())
    assert shown in told


def test_a_value_that_does_not_exist_names_those_that_there_are(call: OneCall) -> None:
    with pytest.raises(BadArguments, match="did you mean strict"):
        call.choose(policy="strickt")
    with pytest.raises(BadArguments, match="no axis 'port'"):
        call.choose(port="http")


def test_what_shows_without_widgets_has_the_same_content(
    monkeypatch: pytest.MonkeyPatch, call: OneCall
) -> None:
    monkeypatch.setenv("LAB_WIDGETS", "1")
    bundle = call._repr_mimebundle_()
    assert {"text/html", "text/plain", "application/vnd.jupyter.widget-view+json"} <= {*bundle}
    assert 'alt="client: sends' in bundle["text/html"]
    monkeypatch.setenv("LAB_WIDGETS", "0")
    still = call._repr_mimebundle_()
    assert {*still} == {"text/html", "text/plain"}


def test_without_a_cluster_no_call_is_made(call: OneCall) -> None:
    assert repr(call.call("recorded")).startswith("No call is made: no cluster runs here")
