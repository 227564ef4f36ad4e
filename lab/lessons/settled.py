"""Waits until a lesson's pods are ready, and their proxies hold what the API has."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

from clusters.base import Cluster
from clusters.kube import Obj
from lab.common.errors import LabError
from lab.common.wait import until
from lab.record import envoy_admin
from lab.record.world import ready, reference

TOKEN = "lab-check"
"""The EnvoyFilter by which it is seen which state of the API a proxy has been told."""
_FILTER = """\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: lab-check}
spec:
  configPatches:
"""
_PATCH = """\
  - applyTo: LISTENER
    match: {context: CONTEXT, listener: {name: LISTENER}}
    patch: {operation: MERGE, value: {metadata: {filter_metadata: {lab: {token: "TOKEN"}}}}}
"""
_LISTENERS = {"virtualInbound": "SIDECAR_INBOUND", "virtualOutbound": "SIDECAR_OUTBOUND"}


def wait(cluster: Cluster, namespace: str, timeout: float = 60.0) -> None:
    """Wait until what was applied so far is in force. Raises LabError with what is not.

    istiod tells a proxy of changes in their order: once a proxy's active listeners show a token
    that was applied last, they show what was applied before.
    """
    last = [""]

    def look() -> bool:
        last[0] = next(_not_ready(cluster, namespace), "")
        return not last[0]

    until(look, f"the pods of {namespace}", timeout=timeout, every=0.1, last_seen=lambda: last[0])
    token = secrets.token_hex(8)
    patches = (
        _PATCH.replace("CONTEXT", context).replace("LISTENER}", f"{name}}}").replace("TOKEN", token)
        for name, context in _LISTENERS.items()
    )
    cluster.kube.apply(_FILTER + "".join(patches), namespace)
    pods = [one for one in cluster.kube.items(_pods(namespace)) if ready(one)]
    waiting = [one for one in map(reference, pods) if one.has_sidecar]

    def told() -> bool:
        waiting[:] = [
            pod for pod in waiting if not _shows(envoy_admin.config_dump(cluster, pod), token)
        ]
        return not waiting

    until(
        told,
        f"the proxies of {namespace} to hold what was applied",
        timeout=timeout,
        every=0.1,
        last_seen=lambda: ", ".join(pod.name for pod in waiting) + " do not",
    )


def idle(cluster: Cluster, namespace: str, timeout: float = 10.0) -> None:
    """Wait until no proxy keeps a connection that a next call could be sent on.

    Such a connection was made under the rules of its time. Raises LabError where one stays.
    """
    pods = [one for one in cluster.kube.items(_pods(namespace)) if ready(one)]
    proxies = [one for one in map(reference, pods) if one.has_sidecar]

    def look() -> bool:
        return not any(
            count
            for pod in proxies
            for count in envoy_admin.stats(
                cluster, pod, r"cluster\.outbound.*\.upstream_cx_active$"
            ).values()
        )

    until(look, "open connections to end", timeout=timeout, every=0.1)


def _pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def _not_ready(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Yield what is not as its Deployment wants it."""
    for one in cluster.kube.items(f"/apis/apps/v1/namespaces/{namespace}/deployments"):
        wanted, status = one["spec"].get("replicas", 1), one.get("status") or {}
        seen = status.get("observedGeneration", 0) >= one["metadata"]["generation"]
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
        if not seen or counts != [wanted] * 3:
            yield f"deployment {one['metadata']['name']} has {counts[2]} of {wanted} pods ready"
    for pod in cluster.kube.items(_pods(namespace)):
        if pod["metadata"].get("deletionTimestamp"):
            yield f"pod {pod['metadata']['name']} is still ending"


def _shows(dump: Obj, token: str) -> bool:
    """Return whether a proxy's active listeners have a token."""
    shown = {
        one["name"]
        for part in dump["configs"]
        for one in part.get("dynamic_listeners", ())
        if token in json.dumps((one.get("active_state") or {}).get("listener", {}).get("metadata"))
    }
    return {*_LISTENERS} <= shown


def problem(cluster: Cluster, namespace: str) -> str:
    """Return why the mesh cannot be looked at now; empty: it can be."""
    try:
        wait(cluster, namespace)
        idle(cluster, namespace)
    except LabError as found:
        return str(found)
    return ""
