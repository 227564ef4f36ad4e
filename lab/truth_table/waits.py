"""Whether hung calls wait where packets say: by the proxies' own gauges.

All calls that hung are repeated at once, while no other call is under way. A gauge counts each
connection once. So where a proxy holds as many more connections than before as calls can be there
by their packets, each of these calls waits there; else one of them at least does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from lab.envoy.way import CLIENT, SERVER
from lab.truth_table.answers import Answer
from lab.truth_table.gauges import Reading
from lab.truth_table.joined import Joined
from lab.truth_table.recorded import HANGS, Call, Recorded

Group = tuple[str, int]
"""A pod's file; and the port that is called, of calls that have not left that pod, else 0."""


@dataclass(frozen=True)
class Wait:
    """What the gauges of a proxy say of the calls that wait in it by their packets."""

    proxy: str
    """client's proxy or server's proxy: where packets say that the call is."""
    waiting: int
    calls: int

    @property
    def proved(self) -> bool:
        return self.waiting == self.calls

    def __str__(self) -> str:
        return f"{self.waiting} of {self.calls} wait in the {self.proxy}"


class Waits:
    """The hung calls of a recorded table, by the proxy in which they wait."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    @cached_property
    def _groups(self) -> dict[Group, list[Call]]:
        found: dict[Group, list[Call]] = defaultdict(list)
        for call in self._recorded.calls:
            if call.second and call.second.waited and (group := self._group(call.second)):
                found[group].append(call.second)
        return found

    def _group(self, second: Call) -> Group | None:
        """Return where a call waits by its packets; None: in a gateway, whose gauges are not kept.

        Istio's template for gateways takes none of the lab's annotations.
        """
        joined = Joined(self._recorded, second)
        if joined.connections:
            return second.server.file, 0
        if joined.to_gateway:
            return None
        return second.caller.file, second.asked.port

    def of(self, call: Call) -> Wait | None:
        """Return what gauges say of a hung call; None where none was read while it hung."""
        second = call.second
        group = self._group(second) if second and second.waited else None
        if group is None:
            return None
        pod, port = group
        same = self._groups[pod, port]
        readings = [one for one in self._recorded.readings if one.pod == pod]
        before = [one for one in readings if one.ended < min(each.connecting for each in same)]
        during = [
            one
            for one in readings
            if max(_starts(same)) < one.began and one.ended < min(each.ended for each in same)
        ]
        if not before or not during:
            return None
        middle = during[(len(during) - 1) // 2]  # at the edges, connections come, or go already
        waiting = _waiting(middle, port) - _waiting(before[-1], port)
        return Wait(CLIENT if port else SERVER, waiting, len(same))

    def checked(self, call: Call, found: Answer) -> Answer:
        """Return an answer as it is, or as unknown where gauges contradict its packets."""
        wait = self.of(call) if found.outcome == HANGS else None
        if wait is None or (wait.proved and wait.proxy == found.by):
            return found
        return replace(found, outcome="unknown", by="", detail=f"of the calls that hang, {wait}")


def _starts(calls: Sequence[Call]) -> list[float]:
    return [float(one.told["started"]) for one in calls]


def _waiting(reading: Reading, port: int) -> int:
    return reading.waiting_to_leave(port) if port else reading.waiting_to_enter()
