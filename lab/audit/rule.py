"""What an audit looks for: a rule says what is so, what it means, and what heals it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lab.audit.edges import Edge
from lab.audit.objects import Objects

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
    """`tcp_mtls C2`: failures and their claims in which it was seen on the wire."""


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


@dataclass(frozen=True)
class ObjectRule(Rule):
    """A rule that is read from the cluster's objects, whether or not a call meets them."""

    found: Callable[[Objects], Iterable[Found]]
