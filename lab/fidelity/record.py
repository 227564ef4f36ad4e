"""Records what a cluster makes of one world with a workload of every sort.

For each sidecar it keeps what decides how traffic is treated: the pod as it was injected, the
firewall rules in its network namespace, its bootstrap, and its whole configuration from istiod.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters import mesh
from lab.common import files
from lab.common.wait import until
from lab.model.scenario import Port, Service, World
from lab.record import envoy_admin, readiness, world

if TYPE_CHECKING:
    from clusters.base import OwnCluster, PodRef
    from clusters.kube import Obj

FOLDER = "fidelity"
WORLD = World(
    name="world",
    phase="before",
    about="a workload of every sort, under the post's two rules",
    workloads=("client", "member", "httpbin", "tcp-echo", "grpcbin", "gateway", "b"),
    services=(
        Service("httpbin", "httpbin", (Port("http", 8080, 8080), Port("web", 8081, 8081))),
        Service("tcp-echo", "tcp-echo", (Port("tcp-foo", 9000, 9000), Port("udp-foo", 9001, 9001))),
        Service("grpcbin", "grpcbin", (Port("grpc", 4200, 4200), Port("http2", 4201, 4201))),
        Service("gateway", "gateway", (Port("tls", 9005, 9005),)),
        Service("b", "b", (Port("https", 8400, 8400), Port("http-b", 8401, 8401))),
    ),
    mtls="STRICT",
    rule="ISTIO_MUTUAL",
)


def record(cluster: OwnCluster, folder: Path) -> None:
    """Deploy the world, record its sidecars, and remove the world.

    folder: the run's, in which `fidelity` is written. The run's own namespaces are waited for until
    they are gone: a proxy is told of every Service there is. Raises TimedOut for pods that do not
    become ready.
    """
    run = folder.name.lower()
    until(
        lambda: not world.namespaces_of_run(cluster, run),
        "the run's namespaces to be gone",
        timeout=90,
    )
    _wait_for_system_services(cluster)
    live = world.deploy(cluster, WORLD, run, FOLDER, mesh.read(cluster.kube))
    try:
        readiness.wait_ready(cluster, live)
        readiness.wait_active(cluster, live)
        place = folder / FOLDER
        files.write_json(place / "names.json", _names(cluster, live.namespace))
        for workload, pod in live.pods.items():
            if pod.has_sidecar:
                _keep(cluster, pod, place / workload)
    finally:
        world.remove(cluster, run)


def _wait_for_system_services(cluster: OwnCluster) -> None:
    """Wait until each endpoint of Kubernetes' own Services is ready.

    A proxy is told of an endpoint that is not ready too, as UNHEALTHY: recorded at such a moment,
    the cluster would differ from another, or from itself.
    """
    slices = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"
    not_ready: list[str] = []

    def look() -> bool:
        not_ready[:] = [
            f"{one['metadata']['name']} {', '.join(endpoint['addresses'])}"
            for one in cluster.kube.items(slices)
            for endpoint in one["endpoints"] or ()
            if endpoint["conditions"].get("ready") is False
        ]
        return not not_ready

    until(
        look,
        "the endpoints in kube-system to be ready",
        timeout=90,
        last_seen=lambda: "not ready: " + "; ".join(not_ready),
    )


def _keep(cluster: OwnCluster, pod: PodRef, place: Path) -> None:
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
    _write(place / "pod.json", cluster.kube.request("GET", path))
    _write(place / "config.json", envoy_admin.config_dump(cluster, pod))
    files.write_text(place / "iptables.txt", cluster.firewall(pod))


def _write(path: Path, content: Any) -> None:
    files.write_text(path, json.dumps(content, indent=1, sort_keys=True))


def _names(cluster: OwnCluster, namespace: str) -> dict[str, str]:
    """Return assigned names and addresses -> words for them that are the same on any cluster."""
    found = {namespace: "<namespace>"}
    for service in cluster.kube.items("/api/v1/services"):
        found[service["spec"].get("clusterIP", "")] = f"<address of {_name(service, namespace)}>"
    for pod in cluster.kube.items("/api/v1/pods"):
        address = "node" if pod["spec"].get("hostNetwork") else f"pod of {_name(pod, namespace)}"
        found[pod["status"].get("podIP", "")] = f"<address of {address}>"
        found[pod["metadata"]["name"]] = f"<pod of {_name(pod, namespace)}>"
    return {given: name for given, name in found.items() if given not in ("", "None")}


def _name(item: Obj, own: str) -> str:
    """Name a Service by its own name, a pod by its workload, with the namespace before it."""
    meta = item["metadata"]
    labels = meta.get("labels", {}) if "containers" in item["spec"] else {}
    name = labels.get("app") or labels.get("k8s-app") or meta["name"]
    return f"{'<namespace>' if meta['namespace'] == own else meta['namespace']}/{name}"
