"""Istio: its CRDs, injection template and values from its own module, and our settings.

What is ours is small and stands here: mesh configuration, access log, and what a stock
Envoy lacks. Everything else is the content of Istio's charts, unchanged.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from clusters.embedded.kubelet.program_pod import ANNOTATION, Program
from clusters.embedded.node.plane import node_service
from clusters.embedded.node.processes import Processes
from clusters.kube import Obj
from clusters.log_format import LOG_FIELDS

NAMESPACE = "istio-system"
TEMPLATES = {
    "sidecar": "injection-template.yaml",
    "gateway": "gateway-injection-template.yaml",
}
WITHOUT_OWN_FILTERS = {
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
}
"""Istiod's environment where proxies are stock Envoys, which have neither filter."""
WITHOUT_REVOKED = {"PILOT_ENABLE_CA_CRL": "false"}
"""Else each Envoy watches the file of revoked certificates, which is empty, with an inotify
instance of its own: by default a user has 128, and the Envoy that gets none aborts."""


def istiod_environment(flavour: str) -> dict[str, str]:
    """Return the environment of istiod that differs from Istio's defaults. flavour: of Envoy."""
    return {**WITHOUT_REVOKED, **(WITHOUT_OWN_FILTERS if flavour == "stock" else {})}


def mesh_config(flavour: str) -> Obj:
    """Return meshConfig: Istio's defaults, except the access log and what a stock Envoy lacks."""
    metrics: Obj = {"defaultProviders": {"metrics": ["prometheus"]}}
    # Istio's metrics filter is not in a stock Envoy, nor is anything here scraped.
    if flavour == "stock":
        metrics = {"enablePrometheusMerge": False}
    return {
        "accessLogFile": "/dev/stdout",
        "accessLogEncoding": "JSON",
        "accessLogFormat": json.dumps(LOG_FIELDS),
        "rootNamespace": NAMESPACE,
        "trustDomain": "cluster.local",
        **metrics,
        "defaultConfig": {
            "discoveryAddress": f"istiod.{NAMESPACE}.svc:15012",
            "fileFlushInterval": "0.05s",
        },
    }


def objects(share: Path, istio: str, flavour: str) -> list[Obj]:
    """Return what `istioctl install` with the minimal profile makes, but for accounts and roles."""
    mesh_text = json.dumps(mesh_config(flavour))
    ports = [
        {"name": "grpc-xds", "port": 15010, "targetPort": 15010},
        {"name": "https-dns", "port": 15012, "targetPort": 15012},
        {"name": "https-webhook", "port": 443, "targetPort": 15017},
        {"name": "http-monitoring", "port": 15014, "targetPort": 15014},
    ]
    return [
        *node_service("istiod", NAMESPACE, None, ports),
        _config_map("istio", {"mesh": mesh_text, "meshNetworks": "networks: {}"}),
        _config_map("istio-sidecar-injector", injector(share, istio)),
        webhook(),
        istiod_deployment(istio, flavour),
    ]


def custom_resources(share: Path) -> list[Obj]:
    """Return Istio's CustomResourceDefinitions."""
    return [obj for obj in yaml.load_all(_text(share, "crd-all.gen.yaml"), _loader()) if obj]


def injector(share: Path, istio: str) -> dict[str, str]:
    """Return the ConfigMap that istiod's webhook injects by: Istio's templates and values."""
    config = {
        "policy": "enabled",
        "defaultTemplates": ["sidecar"],
        "alwaysInjectSelector": [],
        "neverInjectSelector": [],
        "injectedAnnotations": {},
        "templates": {name: _text(share, file) for name, file in TEMPLATES.items()},
    }
    return {"config": yaml.safe_dump(config), "values": json.dumps(values(share, istio))}


def values(share: Path, istio: str) -> Obj:
    """Return chart values for the injector: Istio's own, and the few that the lab sets."""
    loaded = yaml.safe_load(_text(share, "values.yaml"))["_internal_defaults_do_not_set"]
    chart: dict[str, Any] = copy.deepcopy(loaded)
    chart["global"] |= {"hub": "docker.io/istio", "tag": istio}
    return {
        "global": chart["global"],
        "sidecarInjectorWebhook": chart["sidecarInjectorWebhook"],
        "revision": chart["revision"],
        "pilot": {"cni": chart["cni"], "env": chart["env"]},
        "gateways": chart["gateways"],
    }


def webhook() -> Obj:
    """Return Istio's injection webhook for the default revision; istiod itself fills in its CA."""
    injected = {"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]}
    asked = {"key": "sidecar.istio.io/inject", "operator": "In", "values": ["true"]}
    enabled = {"key": "istio-injection", "operator": "In", "values": ["enabled"]}
    unlabelled = {"key": "istio-injection", "operator": "DoesNotExist"}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {
            "name": "istio-sidecar-injector",
            "labels": {"istio.io/rev": "default", "app": "sidecar-injector"},
        },
        "webhooks": [
            _hook("namespace", [enabled], [injected]),
            _hook("object", [unlabelled], [asked]),
        ],
    }


def _hook(name: str, namespaces: list[Obj], pods: list[Obj]) -> Obj:
    service = {"name": "istiod", "namespace": NAMESPACE, "path": "/inject", "port": 443}
    return {
        "name": f"{name}.sidecar-injector.istio.io",
        "clientConfig": {"service": service},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "rules": [
            {
                "operations": ["CREATE"],
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": ["pods"],
            }
        ],
        "namespaceSelector": {"matchExpressions": namespaces},
        "objectSelector": {"matchExpressions": pods},
    }


def start_istiod(processes: Processes, config: Path, folder: Path, flavour: str) -> Program:
    """Start istiod as its chart's Deployment does, without what a stock Envoy lacks."""
    folder.mkdir(exist_ok=True)
    started = processes.start(
        "pilot-discovery",
        [
            "discovery",
            f"--kubeconfig={config}",
            "--monitoringAddr=:15014",
            "--log_output_level=default:info",
            "--domain=cluster.local",
            "--keepaliveMaxServerConnectionAge=30m",
        ],
        cwd=folder,
        env={
            "REVISION": "default",
            "PILOT_CERT_PROVIDER": "istiod",
            "POD_NAME": "istiod-lab",
            "POD_NAMESPACE": NAMESPACE,
            "SERVICE_ACCOUNT": "istiod",
            "CLUSTER_ID": "Kubernetes",
            "PLATFORM": "",
            **istiod_environment(flavour),
        },
    )
    return Program(started.pid, started.started, started.log, folder)


def istiod_deployment(istio: str, flavour: str) -> Obj:
    """Return istiod's Deployment, with the names and labels by which tools look for it.

    Its pod is given the istiod that runs on the node.
    """
    labels = {"app": "istiod", "istio": "pilot", "istio.io/rev": "default"}
    ports = {"http-debug": 8080, "grpc-xds": 15010, "tls-xds": 15012, "http-monitoring": 15014}
    container = {
        "name": "discovery",
        "image": f"docker.io/istio/pilot:{istio}",
        "args": ["discovery"],
        "env": [{"name": n, "value": v} for n, v in istiod_environment(flavour).items()],
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "istiod", "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "istiod"}},
            "template": {
                "metadata": {"labels": labels, "annotations": {ANNOTATION: "istiod"}},
                "spec": {
                    "hostNetwork": True,
                    "automountServiceAccountToken": False,
                    "containers": [container],
                },
            },
        },
    }


def _config_map(name: str, data: dict[str, str]) -> Obj:
    meta = {"name": name, "namespace": NAMESPACE, "labels": {"istio.io/rev": "default"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def _text(share: Path, name: str) -> str:
    return next(share.rglob(name)).read_text()


def _loader() -> Any:
    # libyaml where PyYAML has it: the CRDs are a megabyte of YAML.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
