"""What an audit looks for: a rule says what is so, what it means, and what heals it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from lab.audit import seen
from lab.audit.edges import Edge
from lab.audit.objects import Objects
from lab.envoy.dump import Proxy
from lab.envoy.mesh import Workload

Severity = Literal["high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")
"""The worst first."""


@dataclass(frozen=True)
class Rule:
    """What a rule says. Each is a file of lab/audit/rules, as one of the two kinds below."""

    name: str
    severity: Severity
    says: str
    """What is so, as the predicate of what it is about: `crosses in plaintext ...`."""
    means: str
    heals: str
    """The smallest change that heals it."""
    proven_by: tuple[str, ...]
    """In what it was seen on the wire: `tcp_mtls C2`, a failure and its claim; `cell NAME`, of the
    truth table; `test FILE`, a test that makes the call."""


@dataclass(frozen=True)
class EdgeRule(Rule):
    """A rule that is read from how an edge is walked."""

    holds: Callable[[Edge], bool]
    causes: Callable[[Edge], tuple[str, ...]]
    """Names the objects, or the parts of a proxy's configuration, that are the reason."""
    about: Callable[[Edge], str] = lambda edge: edge.to.name
    """What the finding is about: the destination, else what many of them have in common."""


class Found(NamedTuple):
    """Something that is so of an object."""

    about: str
    causes: tuple[str, ...]
    edges: tuple[Edge, ...] = ()
    """That show it, where calls do."""


@dataclass(frozen=True)
class ObjectRule(Rule):
    """A rule that is read from the cluster's objects, whether or not a call meets them."""

    found: Callable[[Objects], Iterable[Found]]


@dataclass(frozen=True)
class Audited:
    """All that an audit has read."""

    edges: Sequence[Edge]
    objects: Objects
    now: datetime.datetime | None = None
    """When it was read; None: of files, which do not say."""

    @property
    def proxied(self) -> list[Workload]:
        """Return the pods at the ends of edges whose proxies were read."""
        ends = (one for edge in self.edges for one in (edge.caller, edge.server) if one)
        each = {one.name: one for one in ends if one.read_proxy}
        return [*each.values()]

    @cached_property
    def by_rule(self) -> Mapping[str, list[Edge]]:
        """Return the edges that are carried as a DestinationRule says, by that rule's name."""
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            if rule := seen.rule_of(edge):
                found.setdefault(rule, []).append(edge)
        return found

    def time_of(self, proxy: Proxy) -> datetime.datetime | None:
        """Return a time at which a proxy's configuration held; None: nothing tells any.

        Of files it is when the proxy was last sent anything: what happened since is not known.
        """
        if self.now or not proxy.updated:
            return self.now
        try:
            return datetime.datetime.fromisoformat(proxy.updated).astimezone(datetime.UTC)
        except ValueError:
            return None


@dataclass(frozen=True)
class MeshRule(Rule):
    """A rule that is read from several things together: edges, objects, proxies."""

    found: Callable[[Audited], Iterable[Found]]
