"""One edge of each sort, between pods of the lab's own images: what `observe` must say of it."""

from __future__ import annotations

import contextlib
import copy
from typing import NamedTuple

from clusters.base import PodRef
from clusters.kube import Kube, Obj
from lab.common.errors import LabError
from lab.common.wait import until
from lab.model.scenario import Port, Service
from lab.record import world
from lab.workloads.manifests import Setting, b, client, httpbin, stranger

SERVICES = (
    Service("httpbin", "httpbin", (Port("http", 8000, 8080),)),
    # A TLS server behind a port that Istio carries as it comes.
    Service("b", "b", (Port("tcp", 8443, 8400),)),
)


SERVER, CLIENT = "server's proxy", "client's proxy"


class Edge(NamedTuple):
    name: str
    source: str
    to: str
    """`{httpbin}` is that pod's own address."""
    together: str
    planes: dict[str, str]
    """Each plane's answer, by its source."""
    odd: frozenset[str] = frozenset()
    """Names of what is at odds."""
    call: str = ""


def _planes(wire: str, server: str, client: str, config: str) -> dict[str, str]:
    """Of an edge whose answering proxy counts as it logs, as it does of one call at a time."""
    return {
        "packets": wire,
        SERVER: server,
        "counters": server,
        CLIENT: client,
        "control plane": config,
    }


MUTUAL, PLAIN = "mutual_tls", "plaintext"
EDGES = (
    Edge("mesh mTLS", "client", "httpbin:8000", MUTUAL, _planes("tls", *[MUTUAL] * 3)),
    Edge("plaintext", "stranger", "httpbin:8000", PLAIN, _planes(PLAIN, PLAIN, "unknown", PLAIN)),
    Edge(
        "the application's TLS alone",
        "stranger",
        "b:8443",
        "tls",
        _planes("tls", PLAIN, "unknown", "tls"),
        frozenset({"TLS of the application, not of the mesh"}),
        "curl -sS -k https://b:8443/",
    ),
    Edge(
        "TLS inside mTLS",
        "client",
        "b:8443",
        MUTUAL,
        _planes("tls", *[MUTUAL] * 3),
        frozenset({"double TLS", "telemetry blind to TCP"}),
        "curl -sS -k https://b:8443/",
    ),
    Edge(
        "past the sidecar by an excluded port",
        "skipper",
        "httpbin:8000",
        PLAIN,
        # What the pod leaves out is a part of the configuration.
        _planes(PLAIN, PLAIN, "unknown", PLAIN),
        frozenset({"bypassed the sidecar"}),
    ),
    Edge(
        "past the mesh by the pod's own address",
        "client",
        "{httpbin}:8080",
        PLAIN,
        _planes(PLAIN, PLAIN, "unknown", PLAIN),
        frozenset({"bypassed the sidecar"}),
    ),
)


def _skipper() -> list[Obj]:
    """A client whose calls to port 8000 its sidecar does not see."""
    objects = copy.deepcopy(client(Setting()))
    account, deployment = objects
    account["metadata"]["name"] = "skipper"
    deployment["metadata"] |= {"name": "skipper", "labels": {"app": "skipper"}}
    spec = deployment["spec"]
    spec["selector"]["matchLabels"] = {"app": "skipper"}
    template = spec["template"]
    template["metadata"]["labels"]["app"] = "skipper"
    template["metadata"]["annotations"]["traffic.sidecar.istio.io/excludeOutboundPorts"] = "8000"
    template["spec"]["serviceAccountName"] = "skipper"
    return objects


def deploy(kube: Kube, namespace: str) -> dict[str, str]:
    """Make the edges' pods, wait for them, and return their addresses by name."""
    meta = {"name": namespace, "labels": {"istio-injection": "enabled"}}
    kube.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": meta}])
    setting = Setting()
    objects = [
        *_skipper(),
        *(one for make in (client, stranger, httpbin, b) for one in make(setting)),
    ]
    for service in SERVICES:
        kube.apply(service.manifest, namespace)
    kube.apply(objects, namespace)
    return ready_pods(kube, namespace, {"client", "stranger", "skipper", "httpbin", "b"})


def ready_pods(kube: Kube, namespace: str, wanted: set[str]) -> dict[str, str]:
    """Wait until the pods of these apps are ready, and return their addresses by name."""
    addresses: dict[str, str] = {}

    def look() -> bool:
        for pod in kube.items(f"/api/v1/namespaces/{namespace}/pods"):
            if world.ready(pod):
                addresses[pod["metadata"]["labels"]["app"]] = pod["status"]["podIP"]
        return wanted <= addresses.keys()

    until(look, f"the pods of {namespace}", timeout=120, every=0.2)
    return addresses


def pod(kube: Kube, namespace: str, name: str) -> PodRef:
    """One of them."""
    found = kube.items(f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": f"app={name}"})
    return world.reference(found[0])


def cluster_ip(kube: Kube, namespace: str, service: str) -> str:
    found = kube.get(f"/api/v1/namespaces/{namespace}/services/{service}")
    assert found
    return str(found["spec"]["clusterIP"])


def remove(kube: Kube, namespace: str) -> None:
    """Take everything away again, where the cluster is still there."""
    with contextlib.suppress(LabError):
        path = f"/api/v1/namespaces/{namespace}"
        kube.request("DELETE", path)
        until(lambda: kube.get(path) is None, "the edges' namespace to be gone", timeout=60)
