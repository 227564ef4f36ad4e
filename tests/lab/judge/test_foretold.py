"""What the model foretold of every recorded call, and what the client's side put on the wire."""

from __future__ import annotations

import pytest
import recordings

from lab import failures
from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.model import store
from lab.packets import tls

WALKED = [
    name
    for name in failures.names()
    if any((store.RECORDED / name / "config").glob("*.json.gz"))  # older evidence has no more
]
NOTHING_SENT = {
    "green_probes/open-from-mesh": "a probe that connects, and sends nothing",
    "green_probes/closed": "a probe that connects, and sends nothing",
}


def observed(case: Case) -> dict[str, Observation]:
    """Every call between pods that was made and found, by its name."""
    asked = (one.name for one in case.calls.values() if one.source != "api")
    made = (name for name in asked if case.evidence.call(name) and not case.unseen(name))
    return {name: case.see(name) for name in made}


def put_on_the_wire(seen: Observation) -> str:
    """`tls`, `plaintext`, or `none`: by the first bytes between the pods."""
    packets = seen.wire.packets
    if packets.client_bytes:
        begun = tls.records(packets.first_bytes)
        return "tls" if begun.records or begun.cut else "plaintext"
    return "plaintext" if packets.server_bytes else "none"


@pytest.mark.parametrize("failure", WALKED)
def test_the_model_foretold_what_each_call_put_on_the_wire(failure: str) -> None:
    case = recordings.case(failure)
    calls = observed(case)
    assert len(calls) > 3
    wrong = {}
    for name, seen in calls.items():
        foretold = "tls" if seen.config.security == "mutual_tls" else seen.config.security
        there = put_on_the_wire(seen)
        if foretold != there and f"{failure}/{name}" not in NOTHING_SENT:
            wrong[name] = (foretold, there, seen.config.why, seen.wire.why)
    assert wrong == {}


def test_most_failures_are_foretold_by_a_walk() -> None:
    assert len(WALKED) >= 14
