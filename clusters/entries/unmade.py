"""What holds of every cluster that the lab does not make."""

from __future__ import annotations

from collections.abc import Mapping

from lab.common.errors import BadArguments


def refuse_stack(word: str, chosen: Mapping[str, str]) -> None:
    """Raise BadArguments where a stack was chosen. word: what followed `--cluster`."""
    named = " ".join(f"{name.removeprefix('LAB_')}={value}" for name, value in chosen.items())
    if named:
        raise BadArguments(
            f"{named} cannot be chosen with --cluster {word}: the lab does not make that cluster"
        )
