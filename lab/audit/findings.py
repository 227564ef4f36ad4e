"""What the rules find on the edges of a mesh: each finding once, with all edges that show it."""

from __future__ import annotations

import datetime
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.audit.edges import Edge, Walked
from lab.audit.objects import Objects
from lab.audit.rule import (
    SEVERITIES,
    Audited,
    EdgeRule,
    Found,
    MeshRule,
    ObjectRule,
    Rule,
    Severity,
)
from lab.planes import walked as words

Key = tuple[str, str, tuple[str, ...]]
"""Rule, what it is about, and its causes: together they name one finding of an audit."""


@dataclass(frozen=True)
class Finding:
    """One thing that is so: of one destination, for one reason, on one or more edges."""

    rule: Rule
    about: str
    """`httpbin.shop:8000`, or `pod shop/httpbin-7d4b9c-x2x9k`."""
    causes: tuple[str, ...]
    edges: tuple[Edge, ...]

    @property
    def key(self) -> Key:
        return self.rule.name, self.about, self.causes

    @property
    def destinations(self) -> list[str]:
        return [*dict.fromkeys(edge.to.name for edge in self.edges)]

    @property
    def callers(self) -> list[str]:
        return [*dict.fromkeys(edge.caller.name for edge in self.edges)]

    @property
    def sent(self) -> list[str]:
        return [*dict.fromkeys(edge.sends for edge in self.edges)]

    @property
    def why(self) -> str:
        """Return what decided the first of its edges, in the walk's words; empty: it has none."""
        if not self.edges:
            return ""
        way = self.edges[0].way
        return words.summary(way, len(way.earlier))

    @property
    def fingerprint(self) -> str:
        """Return what is the same in the next audit of the same thing: no pod's name is in it."""
        parts = (
            self.rule.name,
            self.about,
            *(one for one in self.causes if not one.startswith("pod ")),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def find(
    edges: Iterable[Edge],
    objects: Objects,
    rules: Sequence[Rule],
    now: datetime.datetime | None = None,
) -> list[Finding]:
    """Return what the rules find, the worst first.

    now: when the proxies were asked; None: they are files'.
    """
    edges = [*edges]
    found: dict[Key, list[Edge]] = {}
    by_name = {rule.name: rule for rule in rules}
    for one in rules:
        for about, causes, own in _told(one, Audited(edges, objects, now)):
            found.setdefault((one.name, about, causes), []).extend(own)
    for edge in edges:
        for rule in rules:
            if isinstance(rule, EdgeRule) and rule.holds(edge):
                key = (rule.name, rule.about(edge), rule.causes(edge))
                found.setdefault(key, []).append(edge)
    made = [
        Finding(by_name[name], about, causes, tuple(own))
        for (name, about, causes), own in found.items()
    ]
    return sorted(
        made, key=lambda one: (SEVERITIES.index(one.rule.severity), one.rule.name, one.about)
    )


def _told(rule: Rule, audited: Audited) -> Iterable[Found]:
    if isinstance(rule, ObjectRule):
        return rule.found(audited.objects)
    return rule.found(audited) if isinstance(rule, MeshRule) else ()


def at_or_above(findings: Iterable[Finding], least: Severity) -> list[Finding]:
    """Return the findings that are as severe as this, or more."""
    most = SEVERITIES.index(least)
    return [one for one in findings if SEVERITIES.index(one.rule.severity) <= most]


def crossings(walked: Walked) -> Counter[str]:
    """Count the edges between two sidecars by what crosses the network."""
    return Counter(edge.crossed for edge in walked.edges if edge.in_mesh)


def unknown(walked: Walked) -> dict[str, str]:
    """Return what could not be decided: why -> the destinations and how many edges.

    Who has an address outside the cluster is not known; what leaves for it is known all the same.
    """
    each: dict[str, list[Edge]] = {}
    for edge in walked.edges:
        if edge.way.outcome == "unknown" and edge.way.wire is None:
            each.setdefault(edge.way.unknown, []).append(edge)
    return {
        why: f"{len(edges)} edges to {', '.join(dict.fromkeys(one.to.name for one in edges))}"
        for why, edges in each.items()
    }
