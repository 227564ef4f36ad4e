"""Independent ways of knowing how an edge was secured; each says what it saw, and why."""

from __future__ import annotations

from collections.abc import Mapping
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
