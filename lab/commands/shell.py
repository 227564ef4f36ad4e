"""`istio-lab shell`: a shell whose kubectl and istioctl use the standing cluster."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess

from clusters import open_cluster
from clusters.base import OwnCluster
from clusters.stacks import assembly, binaries
from lab.commands.arguments import add_cluster


def add(parser: argparse.ArgumentParser) -> None:
    """Take `--cluster`."""
    add_cluster(parser)


def run(options: argparse.Namespace) -> int:
    """Run the user's shell; return its code."""
    cluster = open_cluster(options.cluster)
    places = [str(cluster.bin), _istioctl(cluster), os.environ.get("PATH", "")]
    own = {"KUBECONFIG": str(cluster.kubeconfig), "PATH": os.pathsep.join(filter(None, places))}
    shell = os.environ.get("SHELL") or "/bin/sh"
    print(
        f"In this shell, kubectl and istioctl use the {cluster.kind} cluster. "
        "Type exit to leave it."
    )
    return subprocess.call([shell], env={**os.environ, **own})


def _istioctl(cluster: OwnCluster) -> str:
    """Return the folder with an istioctl that fits the cluster, built now if it never was.

    Empty where one lies beside the cluster's kubectl, or, of an existing cluster, on PATH.
    """
    if shutil.which("istioctl", path=str(cluster.bin)) or (
        cluster.kind == "existing" and shutil.which("istioctl")
    ):
        return ""
    return str(binaries.build(assembly.wanted().tools, print) / "bin")
