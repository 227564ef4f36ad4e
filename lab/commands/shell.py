"""`istio-lab shell`: a shell whose kubectl and istioctl use the standing cluster."""

from __future__ import annotations

import argparse
import os
import subprocess

from clusters import open_cluster
from lab.commands.arguments import add_cluster


def add(parser: argparse.ArgumentParser) -> None:
    """Take `--cluster`."""
    add_cluster(parser)


def run(options: argparse.Namespace) -> int:
    """Run the user's shell; return its code."""
    from lab.record import istioctl

    cluster = open_cluster(options.cluster)
    tools = istioctl.obtain(cluster, print).parent
    places = [str(cluster.bin), str(tools), os.environ.get("PATH", "")]
    own = {"KUBECONFIG": str(cluster.kubeconfig), "PATH": os.pathsep.join(places)}
    shell = os.environ.get("SHELL") or "/bin/sh"
    print(
        f"In this shell, kubectl and istioctl use the {cluster.kind} cluster. "
        "Type exit to leave it."
    )
    return subprocess.call([shell], env={**os.environ, **own})
