"""`istio-lab list`: the failures by name, with their claims. Only the standard library."""

from __future__ import annotations

import argparse
import sys

from lab import failures
from lab.common.errors import BadFailure


def add(parser: argparse.ArgumentParser) -> None:
    """Take no arguments."""
    del parser


def run(options: argparse.Namespace) -> int:
    """Print a line for each failure; return 254 where a failure's file is wrong."""
    del options
    code, width = 0, max(map(len, failures.names()))
    for name in failures.names():
        try:
            failure = failures.load(name)
        except BadFailure as wrong:
            print(f"lab: {wrong}", file=sys.stderr)
            code = wrong.exit_code
            continue
        claims = ", ".join(claim.id for claim in failure.claims)
        print(f"{name:<{width}} {failure.title}  ({claims})")
    return code
