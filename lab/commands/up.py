"""`istio-lab up`: start the standing cluster."""

from __future__ import annotations

import argparse

from clusters import open_cluster
from lab.commands.arguments import add_cluster


def add(parser: argparse.ArgumentParser) -> None:
    """Take `--cluster`."""
    add_cluster(parser)


def run(options: argparse.Namespace) -> int:
    """Start the cluster, or find it up; print each step, and what to type next."""
    cluster = open_cluster(options.cluster)
    cluster.up(lambda step: print(f"  {step}", flush=True))
    print(
        f"The cluster is up. To use kubectl with it, run one of:\n"
        f"  istio-lab shell\n  export KUBECONFIG={cluster.kubeconfig}"
    )
    return 0
