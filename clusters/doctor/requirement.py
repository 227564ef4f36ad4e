"""What a machine must have, and whether it has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """One line of the doctor's answer."""

    what: str
    """A word or two: a program, `memory`, `user namespace`."""
    good: bool
    told: str
    """What was found: a path, a version, an amount; or why it is not enough."""
    package: str = ""
    """The Debian package that has it, where it is missing."""
    ways: tuple[str, ...] = ()
    """Lines that say why it is missing, and what mends it."""
