"""A hang is a state: proxies' gauges must count the calls that packets place there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.truth_table import gauges, results
from lab.truth_table.gauges import Reading
from lab.truth_table.recorded import CALLS, GAUGES, Recorded
from lab.truth_table.results import Row

RECORDED = Path(__file__).parent / "recorded"
IN_CLIENT = "server-first/grpc/permissive/sidecar"
IN_SERVER = (
    "server-first/http2/permissive/none/address=pod",
    "three-bytes/grpc-web/permissive/sidecar",
    "three-bytes/https/permissive/none",
)
OUTBOUND = "listener.10.96.0.9_3430.downstream_pre_cx_active"
INBOUND = "listener.0.0.0.0_15006.downstream_pre_cx_active"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy in which hung calls were repeated, and went the same way."""
    copy = Path(shutil.copytree(RECORDED, tmp_path / "truth_table"))
    edit_calls(copy, lambda told: {"second": told} if told["outcome"] == "hangs" else {})
    return copy


def edit_calls(folder: Path, more: Any) -> None:
    lines = map(json.loads, (folder / CALLS).read_text().splitlines())
    changed = ({**line, **more(line)} for line in lines)
    (folder / CALLS).write_text("".join(json.dumps(line) + "\n" for line in changed))


def read(folder: Path, client: Mapping[str, int], server: Mapping[str, int]) -> dict[str, Row]:
    """Judge with gauges of both proxies that were zero before the calls, and these meanwhile."""
    hung = [call.second for call in Recorded(folder).calls if call.second]
    last = max(float(one.told["started"]) for one in hung)
    readings = [
        Reading(f"permissive-{pod}", at, at + 0.01, found)
        for pod, found in (("client", client), ("server", server))
        for at, found in ((last - 60, {}), (last + 3, found))
    ]
    (folder / GAUGES).write_text(json.dumps(gauges.as_json(readings)))
    return {row.cell.key: row for row in results.judge(Recorded(folder))}


def test_as_many_connections_as_calls_prove_where_each_of_them_waits(folder: Path) -> None:
    rows = read(folder, {OUTBOUND: 1}, {INBOUND: 3})
    assert rows[IN_CLIENT].gauge == "1 of 1 wait in the client's proxy"
    assert {rows[key].gauge for key in IN_SERVER} == {"3 of 3 wait in the server's proxy"}
    assert all(rows[key].agrees for key in (IN_CLIENT, *IN_SERVER))


def test_connections_of_an_http_chain_count_but_not_those_of_other_listeners(folder: Path) -> None:
    chain = "http.inbound_0.0.0.0_21017;.downstream_cx_active"
    others = {"http.admin.downstream_cx_active": 1, OUTBOUND: 1}
    rows = read(folder, {OUTBOUND: 1}, {INBOUND: 2, chain: 1, **others})
    assert {rows[key].gauge for key in IN_SERVER} == {"3 of 3 wait in the server's proxy"}


@pytest.mark.parametrize("client", [{}, {OUTBOUND.replace("3430", "3431"): 1}])
def test_a_gauge_that_does_not_count_a_call_contradicts_its_packets(
    client: dict[str, int], folder: Path
) -> None:
    rows = read(folder, client, {INBOUND: 2})
    for key in (IN_CLIENT, *IN_SERVER):
        assert (rows[key].measured.outcome, rows[key].measured.by) == ("unknown", "")
        assert not rows[key].agrees
    assert rows[IN_CLIENT].measured.detail == (
        "of the calls that hang, 0 of 1 wait in the client's proxy"
    )


def test_a_connection_that_is_gone_just_before_its_call_has_ended_was_waiting(folder: Path) -> None:
    read(folder, {OUTBOUND: 1}, {INBOUND: 3})
    stored = json.loads((folder / GAUGES).read_text())
    middle = [one for one in stored if one["gauges"]]
    late = [{**one, "began": one["began"] + 1, "ended": one["ended"] + 1} for one in middle]
    gone = [{**one, "gauges": {}} for one in late]
    (folder / GAUGES).write_text(json.dumps([*stored, *gone]))
    rows = {row.cell.key: row for row in results.judge(Recorded(folder))}
    assert rows[IN_CLIENT].gauge == "1 of 1 wait in the client's proxy"
    assert {rows[key].gauge for key in IN_SERVER} == {"3 of 3 wait in the server's proxy"}


def test_a_reading_before_or_after_the_calls_proves_nothing(folder: Path) -> None:
    read(folder, {OUTBOUND: 1}, {INBOUND: 3})
    stored = json.loads((folder / GAUGES).read_text())
    late = [{**one, "began": one["began"] + 9, "ended": one["ended"] + 9} for one in stored]
    (folder / GAUGES).write_text(json.dumps(late))
    rows = {row.cell.key: row for row in results.judge(Recorded(folder))}
    assert rows[IN_CLIENT].gauge == ""
    assert rows[IN_CLIENT].agrees


def test_a_reading_while_a_call_connects_is_no_reading_before_it(folder: Path) -> None:
    calls = Recorded(folder).calls
    first = min(float(call.second.told["started"]) for call in calls if call.second)
    edit_calls(
        folder,
        lambda told: (
            {"second": {**told["second"], "connecting": first - 0.02}} if "second" in told else {}
        ),
    )
    read(folder, {OUTBOUND: 1}, {INBOUND: 3})
    stored = json.loads((folder / GAUGES).read_text())
    connecting = [
        {**one, "began": first - 0.011, "ended": first - 0.001} for one in stored if one["gauges"]
    ]
    (folder / GAUGES).write_text(json.dumps([*stored, *connecting]))
    rows = {row.cell.key: row for row in results.judge(Recorded(folder))}
    assert rows[IN_CLIENT].gauge == "1 of 1 wait in the client's proxy"
    assert {rows[key].gauge for key in IN_SERVER} == {"3 of 3 wait in the server's proxy"}


def test_a_call_that_hangs_once_and_is_answered_then_is_unknown(folder: Path) -> None:
    answered = {"outcome": "answered", "answer": ""}
    edit_calls(folder, lambda told: {"second": {**told, **answered}} if told.get("second") else {})
    rows = {row.cell.key: row for row in results.judge(Recorded(folder))}
    assert {rows[key].measured.outcome for key in (IN_CLIENT, *IN_SERVER)} == {"unknown"}


def test_a_syn_that_nobody_answers_is_no_hang(folder: Path) -> None:
    edit_calls(folder, lambda told: {"connected": told["id"] != IN_SERVER[2] and told["connected"]})
    rows = {row.cell.key: row for row in results.judge(Recorded(folder))}
    assert rows[IN_SERVER[2]].measured.outcome == "unknown"
    assert rows[IN_SERVER[1]].measured.outcome == "hangs"
