"""In which order failures get room for their pods."""

from __future__ import annotations

from collections.abc import Mapping

from lab.common.errors import BadEvidence
from lab.model import evidence, store


def longest_calls_first(pods: Mapping[str, int]) -> list[str]:
    """Return those first whose calls took longest for each of their pods, as recorded.

    While calls hang, the machine is free for the pods of others. pods: failure -> how many it has.
    What is not recorded as a failure comes before all: a new one is what its author waits for, and
    the truth table's cells have the most pods, for which there is hardly room later.
    """
    return sorted(pods, key=lambda name: -_seconds_of_calls(name) / pods[name])


def _seconds_of_calls(name: str) -> float:
    try:
        recorded = evidence.load(store.RECORDED / name)
    except BadEvidence:
        return float("inf")
    return sum(call.ended - call.started for call in recorded.calls)
