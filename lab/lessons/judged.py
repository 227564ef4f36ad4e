"""What a call of a lesson shows: whether what was predicted is true, and whether it is repaired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lab.judge.observation import Observation
from lab.lessons.lesson import Asked
from lab.planes import Security
from lab.render.wording import came_back

ANSWERS = ("answered", "fails", "hangs")
"""What may come of a call: its answer, an error, or nothing until the client gives up."""
WIRES = ("plaintext", "TLS", "mutual TLS", "nothing")
"""What may cross the network between the two pods."""
UNKNOWN = "cannot be said"
_WIRE: Mapping[Security, str] = {
    "plaintext": "plaintext",
    "tls": "TLS",
    "mutual_tls": "mutual TLS",
    "none": "nothing",
    "mixed": "plaintext",  # a part of it can be read
    "unknown": UNKNOWN,
}

State = Literal["so", "not yet", "cannot be checked"]


@dataclass(frozen=True)
class Goal:
    """What one call shows of one thing that has to be so."""

    asked: Asked
    state: State
    says: str


def answer(seen: Observation) -> str:
    """Return what came of a call, one of ANSWERS."""
    record = seen.record
    if record.lost:
        return UNKNOWN
    if record.outcome == "answered" and record.status < 400:
        return "answered"
    return "hangs" if record.outcome == "hang" else "fails"


def told(seen: Observation) -> str:
    """Return how a call ended, in the client's own words where it has any."""
    error = (seen.record.error or "").partition("\n")[0]
    if seen.record.outcome == "answered":
        return f"status {seen.record.status}" if seen.record.status else "answered"
    return error or came_back(seen.record)


def wire(seen: Observation) -> str:
    """Return what crossed the network, one of WIRES."""
    return _WIRE[seen.security]


def goal(asked: Asked, seen: Observation) -> Goal:
    """Return whether a call did what it has to."""
    if seen.record.lost:
        return Goal(asked, "cannot be checked", f"its answer was lost: {seen.record.lost}")
    came = answer(seen)
    if asked.must == "refused":
        if came != "answered":
            return Goal(asked, "so", f"refused: {told(seen)}")
        return Goal(asked, "not yet", f"it is answered, and crosses as {wire(seen)}")
    if came != "answered":
        return Goal(asked, "not yet", f"it {came}: {told(seen)}")
    return _answered(asked, seen)


def _answered(asked: Asked, seen: Observation) -> Goal:
    if asked.words and asked.words not in seen.record.received:
        return Goal(
            asked, "not yet", f"its answer does not say {asked.words}: another end answered"
        )
    if asked.must == "answered":
        return Goal(asked, "so", "answered by the end that was asked")
    return _secured(asked, seen)


def _secured(asked: Asked, seen: Observation) -> Goal:
    match seen.security:
        case "mutual_tls":
            return Goal(asked, "so", "answered, over mutual TLS")
        case "unknown":
            return Goal(asked, "cannot be checked", f"how it crosses is not known: {seen.wire.why}")
        case "plaintext" | "mixed":
            says = "it is answered, but crosses in plaintext: anybody on the way can read it"
            return Goal(asked, "not yet", says)
        case _:
            says = f"it is answered, and crosses as {wire(seen)}: the server's sidecar saw no "
            return Goal(asked, "not yet", f"{says}certificate")


def whole(goals: list[Goal]) -> Literal["correct", "not yet", "cannot be checked"]:
    """Return what all goals say together: one that is not reached counts most."""
    states = {one.state for one in goals}
    if "not yet" in states:
        return "not yet"
    return "cannot be checked" if "cannot be checked" in states else "correct"
