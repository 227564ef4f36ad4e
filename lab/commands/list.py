"""`istio-lab list`: the failures by name, with their claims. Only the standard library."""

from __future__ import annotations

import argparse

from lab import failures


def add(parser: argparse.ArgumentParser) -> None:
    """Take no arguments."""
    del parser


def run(options: argparse.Namespace) -> int:
    """Print a line for each failure."""
    del options
    for name in failures.names():
        failure = failures.load(name)
        claims = ", ".join(claim.id for claim in failure.claims)
        print(f"{name:<14} {failure.title}  ({claims})")
    return 0
