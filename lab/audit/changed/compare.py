"""Which edges of a mesh a change changes: before -> after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lab.audit import seen
from lab.audit.edges import Edge, Walked
from lab.audit.rules import tls_to_none
from lab.planes import Security
from lab.planes import walked as words

Effect = Literal["breaks", "partly breaks", "unknown", "changes", "heals"]
EFFECTS: tuple[Effect, ...] = ("breaks", "partly breaks", "unknown", "changes", "heals")
"""The worst first. `breaks`: calls that arrive before do not, after. `heals`: the other way."""
UNKNOWN, ABSENT = "unknown", "it is not there"
Name = tuple[str, str, str]
"""The caller's workload, the destination, and what is sent."""


@dataclass(frozen=True)
class Changed:
    """One edge that is not after the change as it was."""

    caller: str
    to: str
    sends: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    effect: Effect


def changes(before: Walked, after: Walked) -> list[Changed]:
    """Return the edges that differ, the worst first."""
    old, new = _by_name(before), _by_name(after)
    unread = {seen.workload(one.what): one.why for one in after.unread}
    found = []
    for name in {**old, **new}:
        was, becomes = _ends(old.get(name, [])), _ends(new.get(name, []))
        if name not in new and name[0] in unread:
            becomes = {UNKNOWN: False}
        if [*was] != [*becomes]:
            found.append(Changed(*name, (*was,), (*becomes,), _effect(was, becomes)))
    return sorted(found, key=lambda one: (EFFECTS.index(one.effect), one.to, one.caller, one.sends))


def _by_name(walked: Walked) -> Mapping[Name, list[Edge]]:
    found: dict[Name, list[Edge]] = defaultdict(list)
    for one in walked.edges:
        if one.to.ends and one.to.ends <= {one.caller.address}:
            continue  # a pod that calls itself is not modelled
        found[seen.workload(one.caller.name), one.to.name, one.sends].append(one)
    return found


def _ends(edges: list[Edge]) -> dict[str, bool]:
    """Return how an edge can end, in words -> whether the call is one that can be answered."""
    found = {_told(one): _is_served(one) for one in edges}
    return dict(sorted(found.items())) or {ABSENT: False}


def _is_served(edge: Edge) -> bool:
    return edge.way.outcome == "arrives" and not tls_to_none.RULE.holds(edge)


def _told(edge: Edge) -> str:
    way = edge.way
    if way.outcome == "unknown":
        return UNKNOWN if way.wire is None else f"leaves the mesh{_CROSSING[edge.crossed]}"
    if way.outcome != "arrives":
        return words.end(way)
    if not _is_served(edge):
        return "fails: the application is given the sidecar's TLS"
    return f"arrives{_CROSSING[edge.crossed]}"


_CROSSING: Mapping[Security, str] = {
    "mutual_tls": ", mutual TLS",
    "tls": ", TLS",
    "plaintext": ", plaintext",
    "mixed": ", a TLS that begins in plaintext",
    "none": "",
    "unknown": ", by what is not known",
}


def _effect(was: Mapping[str, bool], becomes: Mapping[str, bool]) -> Effect:
    if UNKNOWN in becomes:
        return "unknown"
    if ABSENT in was:
        return "changes"
    if all(was.values()) and not all(becomes.values()):
        return "partly breaks" if any(becomes.values()) else "breaks"
    if any(was.values()) and not any(becomes.values()):
        return "breaks"
    return "heals" if any(becomes.values()) and not any(was.values()) else "changes"
