"""One of two states of a mesh, with what is asked of the other: so that each edge has two ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lab.audit import ports
from lab.audit.edges import Edge, Inventory, Walked
from lab.audit.objects import Objects
from lab.audit.ports import Destination
from lab.common.errors import LabError
from lab.envoy.mesh import Mesh, Workload

Key = tuple[str, int]
"""Host and port."""


class Compared:
    """A state of a mesh, walked by what callers know in either state.

    A port that is declared otherwise is called as before too: clients do not change by it.
    """

    def __init__(self, own: Inventory, other: Inventory) -> None:
        self._own, self._other = own, other
        self._told: dict[str, set[Key]] = {}
        """What each caller that was walked calls by this state's own declarations."""

    def mesh(self) -> Mesh:
        return self._own.mesh()

    def callers(self) -> Sequence[Workload]:
        return self._own.callers()

    def objects(self) -> Objects:
        return self._own.objects()

    def destinations(self, caller: Workload) -> Sequence[Destination]:
        """Return the caller's, and a server that nothing names at each port known in either."""
        own = self._own.destinations(caller)
        self._told[caller.name] = {_key(one) for one in own}
        there = self._others(caller.name)
        known = {_key(one) for one in own}
        added = [one for key, one in there.items() if one.kind == "other" and key not in known]
        return [*(_spoken_as(one, there.get(_key(one))) for one in own), *added]

    def own(self, walked: Walked) -> Walked:
        """Return the edges that this state's own declarations suggest: those of its audit."""
        kept = (one for one in walked.edges if _is_declared(one, self._told[one.caller.name]))
        return Walked(tuple(kept), walked.unread)

    def _others(self, name: str) -> Mapping[Key, Destination]:
        try:
            return {
                _key(one): one
                for caller in self._other.callers()
                if caller.name == name
                for one in self._other.destinations(replace(caller))
            }
        except LabError:
            return {}  # it is not known, and is told so where it is walked itself


def _key(to: Destination) -> Key:
    return to.host, to.port


def _spoken_as(to: Destination, other: Destination | None) -> Destination:
    if other is None or other.protocol == to.protocol:
        return to
    both = dict.fromkeys((*ports.sends(to.protocol), *ports.sends(other.protocol)))
    return replace(to, spoken=(*both,))


def _is_declared(edge: Edge, told: set[Key]) -> bool:
    return _key(edge.to) in told and edge.sends in ports.sends(edge.to.protocol)
