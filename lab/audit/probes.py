"""The probes that kubelets make of pods with a sidecar: calls from outside the mesh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clusters.kube import Obj
from lab.audit.ports import Destination
from lab.audit.seen import workload
from lab.envoy import interception
from lab.envoy.mesh import Workload

KUBELET = Workload("the kubelet", "192.0.2.2")
"""Its node's address is not needed; this is one that documentation uses (RFC 5737)."""
_KINDS = {"startupProbe": "startup", "livenessProbe": "liveness", "readinessProbe": "readiness"}


def of(pods: Iterable[Obj]) -> Iterator[Destination]:
    """Yield the HTTP and gRPC probes of applications beside a sidecar, as they stand in the pods.

    Those that Istio rewrote at injection go to its agent's port, which the sidecar does not take.
    A TCP probe is left out: a sidecar accepts each connection, whatever it does with it then
    (`green_probes` B1). So is one with a host of its own, which is asked in the pod's place.
    """
    for pod in pods:
        if interception.read(pod) is None:
            continue
        for container in pod["spec"]["containers"]:
            if container["name"] != "istio-proxy":
                yield from _of_container(pod, container)


def _of_container(pod: Obj, container: Obj) -> Iterator[Destination]:
    meta, address = pod["metadata"], str(pod["status"]["podIP"])
    own = workload(f"{meta['namespace']}/{meta['name']}")
    for name, kind in _KINDS.items():
        probe = container.get(name) or {}
        asked = probe.get("httpGet") or probe.get("grpc")
        if not asked or asked.get("host"):
            continue
        port = _number(asked["port"], container)
        told = f"{kind} probe of {own}, container {container['name']}"
        yield Destination(
            address, port, "", (address,), ends=frozenset((address,)), kind="probe",
            spoken=(_sent(probe),), told=told,
        )  # fmt: skip


def _number(port: int | str, container: Obj) -> int:
    named = {one.get("name"): one["containerPort"] for one in container.get("ports") or ()}
    return int(named.get(port, port))


def _sent(probe: Obj) -> str:
    if "grpc" in probe:
        return "grpc"
    return "tls" if str(probe["httpGet"].get("scheme", "")).upper() == "HTTPS" else "http1.1"
