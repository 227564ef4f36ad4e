"""`istio-lab exec`: a command in a pod of the standing cluster."""

from __future__ import annotations

import argparse

from clusters import open_cluster
from clusters.base import OwnCluster, PodRef
from lab.common.errors import BadArguments


def add(parser: argparse.ArgumentParser) -> None:
    """Take a pod, and where it is; the command follows `--`."""
    parser.usage = "istio-lab exec POD [-n NAMESPACE] [-c CONTAINER] -- COMMAND"
    parser.add_argument("pod")
    parser.add_argument("-n", "--namespace", default="", help="default: the only one with this pod")
    parser.add_argument("-c", "--container", default=None, help="default: the pod's first")


def run(options: argparse.Namespace) -> int:
    """Run the command with this terminal; return its code."""
    cluster = open_cluster("auto")
    if not options.words:
        raise BadArguments("no command given", hint="istio-lab exec POD -n NAMESPACE -- COMMAND")
    namespace = options.namespace or _namespace(cluster, options.pod)
    pod = PodRef(namespace, options.pod, "", ())
    return cluster.exec_here(pod, options.words, options.container)


def _namespace(cluster: OwnCluster, pod: str) -> str:
    """Return the namespace of the only pod of this name. Raises BadArguments unless it is one."""
    found = [
        str(item["metadata"]["namespace"])
        for item in cluster.kube.items("/api/v1/pods")
        if item["metadata"]["name"] == pod
    ]
    if len(found) != 1:
        raise BadArguments(f"{len(found)} pods are named {pod!r}", hint="name the namespace: -n")
    return found[0]
