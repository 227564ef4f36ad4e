"""What a first start of a cluster builds and keeps: where, under which key, at what cost.

Only the standard library: a CI job asks before anything is set up.
"""

from __future__ import annotations

from pathlib import Path

from clusters import kind_of
from clusters.entries.entry import ClusterKind
from clusters.stacks import cache
from clusters.stacks.cost import Cost, total


def folders(clusters: str) -> list[Path]:
    """Return what a first start leaves in the cache for the next one.

    clusters: what follows `--cluster`; several are separated by commas. Raises BadArguments for a
    cluster that nothing is built for, NeedsUnmet for kind's built images where apt knows no
    packages.
    """
    return list(dict.fromkeys(folder for kind in kinds(clusters) for folder in kind.folders()))


def key(clusters: str) -> str:
    """Return a name for a CI's cache: another one exactly when something else would be built."""
    names = [folder.name.encode() for folder in folders(clusters)]
    return f"istio-failure-lab-{cache.key(*names)}"


def cost(clusters: str) -> Cost | None:
    """Return the cost of all that is still to be built for these clusters; None: nothing is."""
    missing: dict[Path, Cost] = {}
    for kind in kinds(clusters):
        missing |= kind.missing()
    return total(missing)


def kinds(clusters: str) -> list[ClusterKind]:
    """Return the kinds of cluster that `--cluster a,b` names. Raises BadArguments for others."""
    return [kind_of(word) for word in clusters.split(",")]
