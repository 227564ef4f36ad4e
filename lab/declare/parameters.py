"""Parameters of failures."""

from __future__ import annotations

from lab.model.scenario import Parameter


def parameter(about: str, default: str, *others: str) -> Parameter:
    """Return a parameter. others: the values that it may have beside its default."""
    return Parameter(about, default, (default, *others))
