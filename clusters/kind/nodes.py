"""The nodes of a kind cluster: how many, of which role, and whose pods each takes."""

from __future__ import annotations

import json

from clusters.kube import Obj
from lab.workloads.manifests import SIDE

SIDES = ("caller", "callee")
UNTAINTED = {"kind": "InitConfiguration", "nodeRegistration": {"taints": []}}


def nodes(count: int, image: str) -> list[Obj]:
    """Return the nodes of kind's configuration: one control plane, the rest workers.

    Where pods can be on two nodes at all, each of these is for callers or for whom they call.
    A single worker is too few for that, so the control plane takes pods too.
    """
    control: Obj = {"role": "control-plane", "image": image}
    workers: list[Obj] = [{"role": "worker", "image": image} for _ in range(count - 1)]
    if count == 2:
        control["kubeadmConfigPatches"] = [json.dumps(UNTAINTED)]
    if count > 1:
        for position, node in enumerate([control, *workers] if count == 2 else workers):
            node["labels"] = {SIDE: SIDES[position % 2]}
    return [control, *workers]


def counted(nodes: int) -> str:
    """Return a number of nodes in words: `1 node`, `3 nodes`."""
    return f"{nodes} node{'' if nodes == 1 else 's'}"


def definition(number: int, image: str) -> Obj:
    """Return kind's configuration of a cluster. number: of nodes. image: the nodes'."""
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
    }
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"ipFamily": "ipv4"},
        "nodes": nodes(number, image),
        "kubeadmConfigPatches": [json.dumps(kubelet)],
    }
