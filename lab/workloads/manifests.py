"""The lab's workloads as Kubernetes objects: the same on every kind of cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Obj = dict[str, Any]

# Istio keeps few of Envoy's counters; these show refused handshakes and unmatched chains.
STATS = [
    ".*ssl.*",
    ".*no_filter_chain_match",
    ".*downstream_pre_cx.*",
    ".*upstream_cx.*",
    ".*update_rejected",
    "server.dynamic_unknown_fields",
]
CERTIFICATES = "/etc/mesh-certificates"


def _proxy_config(**metadata: str) -> str:
    config: Obj = {"proxyStatsMatcher": {"inclusionRegexps": STATS}}
    if metadata:
        config["proxyMetadata"] = metadata
    return json.dumps(config)


def _workload(
    name: str,
    image: str,
    ports: list[int],
    *,
    args: list[str] | None = None,
    sidecar: bool = True,
    annotations: Mapping[str, str] | None = None,
    container: Mapping[str, Any] | None = None,
) -> list[Obj]:
    labels = {"app": name, "sidecar.istio.io/inject": str(sidecar).lower()}
    notes = {"proxy.istio.io/config": _proxy_config(), **(annotations or {})} if sidecar else {}
    spec: Obj = {"name": name, "image": f"{image}:1", **(container or {})}
    if args:
        spec["args"] = args
    if ports:
        spec["ports"] = [{"containerPort": port} for port in ports]
        spec["readinessProbe"] = {"tcpSocket": {"port": ports[0]}, "periodSeconds": 5}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": labels, "annotations": notes},
                    "spec": {
                        "serviceAccountName": name,
                        "terminationGracePeriodSeconds": 1,
                        "containers": [spec],
                    },
                },
            },
        },
    ]


def _service(name: str, ports: list[Obj]) -> Obj:
    spec = {"selector": {"app": name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def client() -> list[Obj]:
    """A pod with a sidecar from which a person types commands."""
    return _workload("client", "lab/client", [])


def stranger() -> list[Obj]:
    """The same without a sidecar: not part of the mesh."""
    return _workload("stranger", "lab/client", [], sidecar=False)


def member() -> list[Obj]:
    """The probe's control: a mesh certificate in hand, and no redirection of what it sends.

    The agent writes the certificate to a volume (OUTPUT_CERTS, as Istio documents it for
    Prometheus); root alone can read another uid's key.
    """
    annotations = {
        "proxy.istio.io/config": _proxy_config(OUTPUT_CERTS=CERTIFICATES),
        "traffic.sidecar.istio.io/includeOutboundIPRanges": "",
        "sidecar.istio.io/userVolumeMount": json.dumps(
            {"mesh-certificates": {"mountPath": CERTIFICATES}}
        ),
    }
    container = {
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "mesh-certificates", "mountPath": CERTIFICATES}],
    }
    objects = _workload("member", "lab/client", [], annotations=annotations, container=container)
    pod = objects[1]["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "mesh-certificates", "emptyDir": {}}]
    return objects


def httpbin() -> list[Obj]:
    """REST over HTTP/1.1, as in Istio's own sample: Service port 8000 named `http`."""
    ports = [{"name": "http", "port": 8000, "targetPort": 8080}]
    return [*_workload("httpbin", "lab/httpbin", [8080]), _service("httpbin", ports)]


def tcp_echo() -> list[Obj]:
    """Istio's tcp-echo: the post's port name, and one that is taken for another protocol."""
    ports = [
        {"name": "tcp-foo", "port": 9000, "targetPort": 9000, "protocol": "TCP"},
        {"name": "udp-foo", "port": 9001, "targetPort": 9001, "protocol": "TCP"},
    ]
    echo = _workload("tcp-echo", "lab/tcp-echo", [9000, 9001], args=["9000,9001", "hello"])
    return [*echo, _service("tcp-echo", ports)]


WORKLOADS: Mapping[str, Callable[[], list[Obj]]] = {
    "client": client,
    "stranger": stranger,
    "member": member,
    "httpbin": httpbin,
    "tcp-echo": tcp_echo,
}
SERVED: Mapping[str, Mapping[int, int]] = {
    "httpbin": {8000: 8080},
    "tcp-echo": {9000: 9000, 9001: 9001},
}
"""Service port -> target port of each workload that answers."""
