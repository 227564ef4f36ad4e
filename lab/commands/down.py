"""`istio-lab down`: stop the standing cluster."""

from __future__ import annotations

import argparse

from clusters import open_cluster
from lab.commands.arguments import add_cluster
from lab.common import scratch


def add(parser: argparse.ArgumentParser) -> None:
    """Take `--cluster`."""
    add_cluster(parser)


def run(options: argparse.Namespace) -> int:
    """Stop the cluster and remove all that this user's runs left on this machine."""
    open_cluster(options.cluster).down()
    scratch.sweep()
    print("The cluster is down; nothing that your runs made is left.")
    return 0
