"""`istio-lab cache-key`, for a CI: another key exactly when something else would be built.

Only the standard library.
"""

from __future__ import annotations

import argparse

from clusters import first_start
from lab.commands.arguments import add_cluster


def add(parser: argparse.ArgumentParser) -> None:
    """Take `--cluster`."""
    add_cluster(parser, several=True)


def run(options: argparse.Namespace) -> int:
    """Print the key."""
    print(first_start.key(options.cluster))
    return 0
