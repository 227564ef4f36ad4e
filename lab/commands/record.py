"""`istio-lab record`: make a run's evidence the recorded evidence."""

from __future__ import annotations

import argparse

from lab import failures
from lab.model import evidence, pins, store
from lab.model.evidence import Evidence


def add(parser: argparse.ArgumentParser) -> None:
    """Take a run."""
    parser.add_argument("run", nargs="?", default="latest", help="a stored run; default: latest")
    parser.add_argument(
        "--turned",
        action="store_true",
        help="keep it as the tests' evidence of the world turned round",
    )


def run(options: argparse.Namespace) -> int:
    """Copy the evidence of each failure that has a verdict. Raises BadEvidence where damaged."""
    place = store.find(options.run)
    for name in failures.names():
        if (place / name / "verdict.json").exists():
            recorded = evidence.load(place / name)
            kept = store.record(place, name, turned=options.turned)
            print(kept.relative_to(store.ROOT))
            print(f"  {_claimable(recorded)}")
    return 0


def _claimable(recorded: Evidence) -> str:
    """Return what a pin may claim by this run: its stack, and whether that is measured."""
    cluster = recorded.cluster
    istio, envoy = (recorded.stack.get(part, "") for part in ("istio", "envoy"))
    stack = pins.Stack(cluster, pins.minor(istio), (envoy,))
    known = any(one.holds(istio, envoy, cluster) for one in pins.MEASURED)
    told = "pins cover it already" if known else "add it to MEASURED in lab/model/pins.py"
    return f"this run lets pins claim {stack}; {told}"
