"""`istio-lab status`: whether the standing cluster is up."""

from __future__ import annotations

import argparse
import datetime

from clusters import open_cluster
from lab.commands.arguments import add_cluster


def add(parser: argparse.ArgumentParser) -> None:
    """Take `--cluster`."""
    add_cluster(parser)


def run(options: argparse.Namespace) -> int:
    """Print the state, and since when each process runs; return 0 where it is up, else 1."""
    status = open_cluster(options.cluster).status()
    print(status.text)
    for name, started in status.details.items():
        at = datetime.datetime.fromtimestamp(float(started)).strftime("%H:%M:%S")
        print(f"  {name:<26} since {at}")
    return 0 if status.running else 1
