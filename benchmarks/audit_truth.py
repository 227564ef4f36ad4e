"""Is an audit true? Every finding that a pod's call can show, and edges without one, are called.

    .venv/bin/python benchmarks/audit_truth.py            writes benchmarks/audit_truth.json
    .venv/bin/python benchmarks/audit_truth.py tcp_mtls   one failure's world, and no file

The worlds are those of the lab's failures, as reported, one after the other on one embedded
cluster. Each call is recorded as `istio-lab observe` records it. A finding is `proven`, or `not
seen`; of an edge without a finding the call was `as walked`, or `otherwise`, which is a miss where
it crossed in plaintext between two sidecars or was not answered.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from clusters import mesh
from clusters.embedded.cluster import Embedded
from lab import failures
from lab.audit import calling, edges, findings
from lab.audit.api import ApiInventory
from lab.audit.edges import Edge
from lab.audit.findings import Finding
from lab.audit.rule import EdgeRule
from lab.audit.rules import rules
from lab.audit.verify import verify
from lab.model.parameters import with_parameters
from lab.predict.cluster import Live
from lab.record import readiness, world

RESULT = Path(__file__).with_name("audit_truth.json")
RUN = "20000101t000000z-true"
EACH = 8
"""Edges without a finding that are called in each world: 100 and more in all."""
SEED = 20
NONE = EdgeRule("none", "low", "", "", "", (), lambda _edge: True, lambda _edge: ())


def main(names: Sequence[str]) -> int:
    os.environ["LAB_RUNS"] = tempfile.mkdtemp(prefix="lab-truth-")
    cluster = Embedded(f"truth-{os.getpid()}")
    cluster.up(print, owned=True)
    told = {}
    try:
        for name in names or failures.names():
            told[name] = one(cluster, name)
            print(name, json.dumps(told[name]), flush=True)
    finally:
        cluster.down()
    if not names:
        RESULT.write_text(json.dumps({**summed(told.values()), "worlds": told}, indent=1) + "\n")
    return 0


def one(cluster: Embedded, name: str) -> dict[str, Any]:
    """Deploy a failure's world, audit it, and call what was found and what was not."""
    failure = failures.load(name)
    failure = with_parameters(failure, {key: p.default for key, p in failure.parameters.items()})
    live = world.deploy(cluster, failure.world("posted"), RUN, name, mesh.read(cluster.kube))
    try:
        readiness.wait_ready(cluster, live)
        world.apply_objects(cluster, live, with_addresses=True)
        if problem := readiness.wait_active(cluster, live):
            return {"problem": problem}
        inventory = ApiInventory(Live(cluster), [live.namespace])
        walked = edges.walk_all(inventory)
        found = findings.find(walked.edges, inventory.objects(), rules())
        return {
            "edges": len(walked.edges),
            "found": called(cluster, found, "proven", "not seen"),
            "without a finding": called(
                cluster, drawn(walked.edges, found), "as walked", "otherwise"
            ),
        }
    finally:
        world.remove(cluster, RUN)


def drawn(walked: Iterable[Edge], found: Iterable[Finding]) -> list[Finding]:
    """Return edges that no rule has found, drawn at random, as findings of no rule."""
    there = {id(edge) for finding in found for edge in finding.edges}
    others = [
        edge
        for edge in walked
        if id(edge) not in there and edge.way.outcome != "unknown" and calling.command(edge)
    ]
    chosen = random.Random(SEED).sample(others, min(EACH, len(others)))
    return [Finding(NONE, str(number), (), (edge,)) for number, edge in enumerate(chosen)]


def called(cluster: Embedded, found: Sequence[Finding], good: str, bad: str) -> dict[str, Any]:
    """Make a call for each finding that a call can show; return how many were good, and others."""
    told = verify(cluster, found, len(found), packets=True)
    by_key = {one.key: one for one in found}
    others = [
        f"{by_key[key].rule.name} {by_key[key].edges[0].to.name}, sending "
        f"{by_key[key].edges[0].sends}: walked {by_key[key].why}; {one.saw}"
        for key, one in told.items()
        if not one.proven
    ]
    return {"all": len(found), good: sum(one.proven for one in told.values()), bad: others}


def summed(each: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums over all worlds."""
    whole = [one for one in each if "problem" not in one]
    proven = sum(one["found"]["proven"] for one in whole)
    unseen = sum(len(one["found"]["not seen"]) for one in whole)
    same = sum(one["without a finding"]["as walked"] for one in whole)
    other = sum(len(one["without a finding"]["otherwise"]) for one in whole)
    return {
        "findings called": proven + unseen,
        "proven": proven,
        "edges without a finding called": same + other,
        "as walked": same,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
