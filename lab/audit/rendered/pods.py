"""One pod for each workload among manifests, as a cluster would have it once it runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from clusters.kube import Obj

NODE = "node"
ADDRESSES = "10.244"
INJECT, REVISION = "sidecar.istio.io/inject", "istio.io/rev"
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}
"""Where the template of its pods is, in each kind of workload."""


def of(objects: Sequence[Obj], now: str) -> list[Obj]:
    """Return one pod for each workload: it runs, is ready, and has an address of its own.

    now: when it was made, as the API writes times.
    """
    return [_pod(one, template, n, now) for n, (one, template) in enumerate(_workloads(objects), 1)]


def _workloads(objects: Iterable[Obj]) -> Iterator[tuple[Obj, Obj]]:
    """Yield (workload, the template of its pods)."""
    for one in objects:
        path = _TEMPLATES.get(one["kind"])
        if path is not None:
            template = one
            for key in path:
                template = template[key]
            yield one, template


def _pod(workload: Obj, template: Obj, number: int, now: str) -> Obj:
    own, meta = workload["metadata"], template.get("metadata") or {}
    name = f"{own['name']}-0"
    uid = hashlib.sha256(f"{workload['kind']}/{own['namespace']}/{name}".encode()).hexdigest()
    address = f"{ADDRESSES}.{number // 250}.{number % 250 + 1}"
    account = template["spec"].get("serviceAccountName") or "default"
    spec = {
        **_with_protocols(template["spec"]),
        "serviceAccountName": account,
        "nodeName": NODE,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": own["namespace"],
            "uid": uid[:32],
            "creationTimestamp": now,
            "labels": dict(meta.get("labels") or {}),
            "annotations": dict(meta.get("annotations") or {}),
        },
        "spec": spec,
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")
            ],
        },
    }


def _with_protocols(spec: Obj) -> Obj:
    """Return a pod's specification with what an API server adds to its containers' ports."""
    containers = [
        {**one, "ports": [{"protocol": "TCP", **port} for port in one.get("ports") or ()]}
        for one in spec.get("containers") or ()
    ]
    return {**spec, "containers": containers}


def is_injected(pod: Obj, namespaces: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether istiod's webhook is asked for a pod's sidecar.

    namespaces: the labels of each that is known; one that is not is taken to inject.
    https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/
    """
    labels = pod["metadata"]["labels"]
    there = namespaces.get(pod["metadata"]["namespace"], {"istio-injection": "enabled"})
    asked = str(labels.get(INJECT, ""))
    if "istio-injection" in there:
        return there["istio-injection"] == "enabled" and asked != "false"
    if REVISION in there:
        return asked != "false"
    return asked == "true" or (asked != "false" and REVISION in labels)
