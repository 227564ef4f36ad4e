"""`istio-lab record`: make a run's evidence the recorded evidence."""

from __future__ import annotations

import argparse

from lab import failures
from lab.model import evidence, store


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
            evidence.load(place / name)
            kept = store.record(place, name, turned=options.turned)
            print(kept.relative_to(store.ROOT))
    return 0
