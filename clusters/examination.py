"""What this machine has and lacks for a kind of cluster. Only the standard library."""

from __future__ import annotations

from collections.abc import Mapping

from clusters import DEFAULT, KINDS
from clusters.doctor import machine
from clusters.doctor.requirement import Requirement
from clusters.entries.entry import ClusterKind
from lab.common import places


def examine(kind: ClusterKind, more: Mapping[str, str] | None = None) -> list[Requirement]:
    """Return all that a kind of cluster needs of this machine.

    more: other programs, and their packages.
    """
    found = [machine.system(kind.name if kind.needs_linux else ""), machine.python()]
    if places.INSTALLED and kind.made_by_lab:
        found.append(machine.packages())
    if not machine.is_linux():
        return found
    programs = {**kind.programs(), **(more or {})}
    return [*found, *machine.programs(programs), *kind.examine()]


def clusters_here() -> list[tuple[str, str]]:
    """Return each kind of cluster as it is written, and `yes`, or `no` and the reason."""
    lacking = [one.what for one in examine(KINDS[DEFAULT]) if not one.good]
    return [(one.written, one.runs_here(lacking)) for one in KINDS.values()]
