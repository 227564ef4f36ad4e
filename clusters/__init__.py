"""Where the lab runs: one protocol (`clusters.base.Cluster`), and a mapping of kinds of cluster.

A new kind of cluster is a class that meets the protocol, and an entry in `KINDS`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from clusters.entries.embedded import EmbeddedKind
from clusters.entries.entry import ClusterKind
from clusters.entries.existing import ExistingKind
from clusters.entries.kind import KindKind
from clusters.entries.recorded import RecordedKind

if TYPE_CHECKING:
    from clusters.base import OwnCluster

KINDS: Mapping[str, ClusterKind] = {
    entry.name: entry for entry in (EmbeddedKind(), KindKind(), ExistingKind(), RecordedKind())
}
DEFAULT = "embedded"
"""What `--cluster auto` means where LAB_CLUSTER names nothing."""
REPLAY = "recorded"
"""What a notebook falls back on where the default kind's programs are not built."""


def wanted(word: str = "auto") -> str:
    """Return what `--cluster word` stands for: `auto` is LAB_CLUSTER, else the default kind."""
    return os.environ.get("LAB_CLUSTER") or DEFAULT if word == "auto" else word


def kind_of(word: str = "auto") -> ClusterKind:
    """Return the kind of cluster that `--cluster word` names. Raises BadArguments for none."""
    from lab.common.errors import BadArguments
    from lab.common.suggest import meant

    word = wanted(word)
    for entry in KINDS.values():
        if entry.is_meant_by(word):
            return entry
    there = [entry.written for entry in KINDS.values()]
    raise BadArguments(f"no cluster {word!r}: {meant(word, there)}there is {', '.join(there)}")


def made_by_lab() -> list[str]:
    """Return the names of the kinds of cluster that the lab starts and ends."""
    return [entry.name for entry in KINDS.values() if entry.made_by_lab]


def check_stack(word: str) -> None:
    """Refuse, before anything is started, a stack that this cluster cannot be made of.

    ISTIO=, ENVOY=, BINARIES= and IMAGES= name it. Raises BadArguments with those that there are,
    NeedsUnmet for one that only a registry has.
    """
    from clusters.stacks import assembly

    kind_of(word).check_stack(wanted(word), assembly.asked())


def open_cluster(word: str = "auto", name: str | None = None) -> OwnCluster:
    """Return the cluster that `--cluster word` names, running or not.

    name: else LAB_CLUSTER_NAME, else the standing one; a context has its own. LAB_NODES: how many
    nodes it is to have. Raises BadArguments for a kind, a number of nodes or an origin of
    programs that the lab does not have, and for a context that is not there or would run a
    program.
    """
    entry = kind_of(word)
    nodes = _nodes(entry) if entry.made_by_lab else 0
    return entry.open(wanted(word), name or os.environ.get("LAB_CLUSTER_NAME") or "lab", nodes)


def _nodes(entry: ClusterKind) -> int:
    """Return LAB_NODES as a number; 0 where it is not given. Raises BadArguments."""
    from lab.common.errors import BadArguments

    given = os.environ.get("LAB_NODES") or "0"
    if not given.isdecimal():
        raise BadArguments(f"NODES={given} is not a number of nodes")
    if entry.most_nodes is not None and int(given) > entry.most_nodes:
        able = [one.name for one in KINDS.values() if one.made_by_lab and one.most_nodes is None]
        raise BadArguments(
            f"NODES={given}: the {entry.name} cluster takes at most NODES={entry.most_nodes}",
            hint=" or ".join(f"CLUSTER={one} NODES={given}" for one in able),
        )
    return int(given)
