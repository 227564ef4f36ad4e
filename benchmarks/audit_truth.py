"""Is an audit true? Every finding that a pod's call can show, and edges without one, are called.

    .venv/bin/python benchmarks/audit_truth.py            writes benchmarks/audit_truth.json
    .venv/bin/python benchmarks/audit_truth.py tcp_mtls   one failure's world, and no file

The worlds are those of the lab's failures, as reported, one after the other on one embedded
cluster; the next begins when nothing is left of the one before. Each call is recorded as
`istio-lab observe` records it. It crossed and ended `as walked`; or it crossed as walked, and the
application, which was given the call, did not answer it well (`the application's doing`); or
`otherwise`. Of a finding, as walked is proven; of an edge without one, otherwise is a miss.
"""

from __future__ import annotations

import contextlib
import itertools
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
from lab.audit import edges, findings
from lab.audit.api import ApiInventory
from lab.audit.edges import Edge
from lab.audit.findings import Finding
from lab.audit.rule import EdgeRule
from lab.audit.rules import rules
from lab.audit.verify import Verified, can_be_called, verify
from lab.common import wait
from lab.common.errors import BadArguments
from lab.model.parameters import with_parameters
from lab.observe import ends
from lab.planes import walked as words
from lab.predict.cluster import Live
from lab.record import readiness, world
from lab.workloads.manifests import WORKLOADS, Setting

RESULT = Path(__file__).with_name("audit_truth.json")
RUN = "20000101t000000z-true"
EACH = 12
"""Edges without a finding that are called in each world: 100 and more in all."""
GONE_WITHIN = 120.0
"""Seconds within which nothing is left of a world."""
SEED = 20
APPLICATIONS = "the application's doing"
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
        cluster.kube.apply(WORKLOADS["stranger"](Setting()), live.namespace)
        readiness.wait_ready(cluster, live)
        world.apply_objects(cluster, live, with_addresses=True)
        if problem := readiness.wait_active(cluster, live):
            return {"problem": problem}
        wait.until(
            lambda: has_outsider(cluster, live.namespace), "a pod without a sidecar", timeout=60
        )
        inventory = ApiInventory(Live(cluster), [live.namespace, *live.namespaces.values()])
        walked = edges.walk_all(inventory)
        found = findings.find(walked.edges, inventory.objects(), rules())
        return {
            "edges": len(walked.edges),
            "found": len(found),
            "findings": called(cluster, found),
            "without a finding": called(cluster, drawn(cluster, walked.edges, found)),
        }
    finally:
        world.remove(cluster, RUN)
        wait.until(
            lambda: not world.namespaces_of_run(cluster, RUN), "a world's end", timeout=GONE_WITHIN
        )


def has_outsider(cluster: Embedded, namespace: str) -> bool:
    with contextlib.suppress(BadArguments):
        return bool(ends.without_sidecar(cluster.kube, namespace))
    return False


def drawn(cluster: Embedded, walked: Iterable[Edge], found: Iterable[Finding]) -> list[Finding]:
    """Return edges that no rule has found, drawn at random, as findings of no rule."""
    there = {id(edge) for finding in found for edge in finding.edges}
    others = [one for one in walked if id(one) not in there and one.way.outcome != "unknown"]
    random.Random(SEED).shuffle(others)
    callable_ones = (one for one in others if can_be_called(cluster, one))
    chosen = itertools.islice(callable_ones, EACH)
    return [Finding(NONE, str(number), (), (edge,)) for number, edge in enumerate(chosen)]


def called(cluster: Embedded, found: Sequence[Finding]) -> dict[str, Any]:
    """Make the call of each finding that a call can show; return what became of them."""
    told = verify(cluster, found, len(found), packets=True)
    others = [(one, told[one.key]) for one in found if one.key in told and not told[one.key].proven]
    return {
        "called": len(told),
        "as walked": len(told) - len(others),
        APPLICATIONS: [said(*one) for one in others if is_the_applications(one[1])],
        "otherwise": [said(*one) for one in others if not is_the_applications(one[1])],
    }


def is_the_applications(told: Verified) -> bool:
    """Return whether a call came to the application as walked, and was not answered well."""
    return told.crossed and told.edge.way.outcome == "arrives"


def said(one: Finding, told: Verified) -> str:
    walked = words.summary(told.edge.way, len(told.edge.way.earlier))
    return f"{one.rule.name}: {told.call} in {told.caller}: walked {walked}; {told.saw}"


def summed(each: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums over all worlds."""
    whole = [one for one in each if "problem" not in one]
    parts = {part: [one[part] for one in whole] for part in ("findings", "without a finding")}
    return {
        part: {
            "called": sum(one["called"] for one in found),
            "as walked": sum(one["as walked"] for one in found),
            APPLICATIONS: sum(len(one[APPLICATIONS]) for one in found),
            "otherwise": sum(len(one["otherwise"]) for one in found),
        }
        for part, found in parts.items()
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
