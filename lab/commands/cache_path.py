"""`istio-lab cache-path`, for a CI: what a first start leaves for the next one.

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
    """Print the folders, a line each."""
    print(*first_start.folders(options.cluster), sep="\n")
    return 0
