"""`istio-lab shell`: a shell whose kubectl uses the standing cluster."""

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
    cluster = open_cluster(options.cluster)
    path = f"{cluster.bin}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"KUBECONFIG": str(cluster.kubeconfig), "PATH": path}
    shell = os.environ.get("SHELL") or "/bin/sh"
    print(f"In this shell, kubectl uses the {cluster.kind} cluster. Type exit to leave it.")
    return subprocess.call([shell], env={**os.environ, **own})
