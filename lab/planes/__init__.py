"""Independent ways of knowing how an edge was secured; each says what it saw, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Security = Literal["mutual_tls", "tls", "plaintext", "mixed", "none", "unknown"]
"""mutual_tls: both ends proved who they are; tls: encrypted, by whom unsaid; plaintext:
readable; mixed: partly readable; none: nothing crossed here; unknown: it cannot be said."""

Fact = str | int | float | bool | None | list[str]


@dataclass(frozen=True)
class Seen:
    """One plane's answer about one connection."""

    plane: str
    source: str
    """Who is the witness: packets, the server's proxy, ... Sources are counted, not planes."""
    security: Security
    why: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    derived: bool = False
    """Worked out from other planes' records: no witness of its own, and never counted as one."""


_COMPATIBLE: Mapping[Security, set[Security]] = {"tls": {"tls", "mutual_tls"}}
"""Packets of TLS 1.3 cannot say who is at the ends: `mutual_tls` does not contradict them."""


def agreement(planes: Sequence[Seen]) -> str:
    """Return how many sources agree with the first one, and which disagree, by name.

    Sources are counted, not planes: another word of the first source is no second voice, what is
    derived is none at all, and a source that cannot say is neither for nor against.
    """
    first = planes[0]
    if first.security == "unknown":
        return f"the {first.source} cannot say"
    odd, speaking = against(planes), _speaking(planes)
    told = f"{1 + len(speaking) - len(odd)} of {1 + len(speaking)} sources agree"
    return f"{told}; {', '.join(odd)}" if odd else told


def against(planes: Sequence[Seen]) -> list[str]:
    """Return which sources contradict the first one; nobody where that one cannot say."""
    first = planes[0]
    allowed = _COMPATIBLE.get(first.security, {first.security})
    return [
        f"{seen.source} says {seen.security}"
        for seen in _speaking(planes)
        if first.security != "unknown" and seen.security not in allowed
    ]


def _speaking(planes: Sequence[Seen]) -> list[Seen]:
    """Return the other sources that can say something, each once, by its first word."""
    first, *others = planes
    voices: dict[str, Seen] = {}
    for seen in others:
        if seen.security != "unknown" and not seen.derived and seen.source != first.source:
            voices.setdefault(seen.source, seen)
    return [*voices.values()]
