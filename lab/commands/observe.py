"""`istio-lab observe`: one call between two pods of a cluster, and what every plane says of it."""

from __future__ import annotations

import argparse

from lab.observe import command


def add(parser: argparse.ArgumentParser) -> None:
    """Take the two ends and the call, or a recorded edge."""
    command.add(parser)


def run(options: argparse.Namespace) -> int:
    """Return 0 where it can be said how the edge was secured, 3 where it cannot."""
    return command.main(options)
