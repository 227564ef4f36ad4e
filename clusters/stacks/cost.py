"""What it costs to build something once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict


class Cost(TypedDict):
    """As `[build]` of a stack.toml has it; measured, see benchmarks/."""

    minutes: float
    """On two cores."""
    gigabytes_needed: float
    """Of disk, while it is built."""
    gigabytes_kept: float
    """Of disk, in the cache."""


def total(missing: Mapping[Path, Cost]) -> Cost | None:
    """Return the cost of building all of it, or None where nothing is missing.

    One set is built after the other: the largest alone decides how much room it takes.
    """
    if not missing:
        return None
    costs = missing.values()
    return Cost(
        minutes=sum(one["minutes"] for one in costs),
        gigabytes_needed=max(one["gigabytes_needed"] for one in costs),
        gigabytes_kept=sum(one["gigabytes_kept"] for one in costs),
    )
