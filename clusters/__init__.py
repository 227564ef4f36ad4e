"""Where the lab runs: one small protocol, one folder or file for each kind of cluster."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clusters.base import OwnCluster

KINDS = ("embedded", "kind")
RECORDED = "recorded"
"""In a cluster's place: committed evidence is replayed, and nothing runs."""
CONTEXT = "context:"
"""Begins the name of a cluster that the lab did not create: `context:NAME`."""


def check_stack(kind: str) -> None:
    """Refuse, before anything is begun, a stack that a kind of cluster cannot be made of.

    ISTIO=, ENVOY=, BINARIES= and IMAGES= name it. Raises BadArguments with those that there are,
    NeedsUnmet for one that kind has of a registry only.
    """
    from clusters.stacks import assembly, official
    from lab.common.errors import BadArguments

    named = " ".join(f"{name[4:]}={value}" for name, value in assembly.asked().items())
    if kind == "embedded":
        if not official.chosen():
            assembly.chosen()
    elif kind == "kind":
        if "LAB_ENVOY" in assembly.asked():
            raise BadArguments(f"{named}: an Envoy can be chosen for the embedded cluster only")
        from clusters.kind import official as images

        images.check(assembly.DEFAULT)
    elif named:
        raise BadArguments(f"{named}: the stack of {kind} is what it is; nothing is made there")


def open_cluster(kind: str = "auto", name: str | None = None) -> OwnCluster:
    """The cluster of this kind and name, running or not.

    kind: `auto` is LAB_CLUSTER, else `embedded`. name: else LAB_CLUSTER_NAME, else the
    standing one; a context has its own. LAB_NODES: how many nodes it is to have. Raises
    BadArguments for a kind, a number of nodes or an origin of programs that the lab does not
    have, and for a context that is not there or would run a program.
    """
    from lab.common.errors import BadArguments
    from lab.common.suggest import meant

    wanted = os.environ.get("LAB_CLUSTER") or "embedded" if kind == "auto" else kind
    if wanted.startswith(CONTEXT):
        from clusters.existing import Existing

        return Existing(wanted.removeprefix(CONTEXT))
    if wanted == RECORDED:
        raise BadArguments(
            "what was recorded needs no cluster", hint="istio-lab run --cluster recorded"
        )
    if wanted not in KINDS:
        near, there = meant(wanted, [*KINDS, CONTEXT, RECORDED]), ", ".join([*KINDS, RECORDED])
        raise BadArguments(f"no cluster {wanted!r}: {near}there is {there}, {CONTEXT}NAME")
    wanted_name = name or os.environ.get("LAB_CLUSTER_NAME") or "lab"
    nodes = os.environ.get("LAB_NODES") or "0"
    if not nodes.isdecimal():
        raise BadArguments(f"NODES={nodes} is not a number of nodes")
    if wanted == "kind":
        from clusters.kind import official as images
        from clusters.kind.cluster import Kind

        images.asked()
        return Kind(wanted_name, nodes=int(nodes))
    if int(nodes) > 1:
        raise BadArguments("the embedded cluster has one node", hint=f"CLUSTER=kind NODES={nodes}")
    from clusters.embedded.cluster import Embedded
    from clusters.stacks import official as programs

    programs.chosen()
    return Embedded(wanted_name)
