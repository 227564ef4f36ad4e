"""A mesh as its cluster's API tells of it: what decides how calls are carried, and who injects.

Read, never written. Settings keep Istio's own names; what is not set is not here, and has
Istio's default (https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, cast

import yaml

from clusters.kube import Kube, Obj
from lab.common.errors import LabError

SYSTEM = "istio-system"
SETTINGS = (
    *("outboundTrafficPolicy", "enableAutoMtls", "meshMTLS", "trustDomain", "rootNamespace"),
    *("accessLogFile", "accessLogEncoding", "accessLogFormat"),
)
"""Of meshConfig: what decides outcomes, or what the planes can see of them."""
IN_ROOT = {
    "PeerAuthentication": "security.istio.io/v1",
    "AuthorizationPolicy": "security.istio.io/v1",
    "DestinationRule": "networking.istio.io/v1",
    "Sidecar": "networking.istio.io/v1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
    "Telemetry": "telemetry.istio.io/v1",
}
"""Kinds that hold for the whole mesh where they stand in its root namespace."""
HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
INJECTION = {"istio-injection": "enabled"}
"""The label of a namespace that the default revision injects."""

ASKING = {"sidecar.istio.io/inject": "true"}
"""The label of a pod of the lab's that wants a sidecar."""


def read(kube: Kube) -> dict[str, Any]:
    """Return the mesh's settings as JSON: meshConfig, istiod's, the root namespace's, injection.

    Raises ApiError where one of them may not be read, LabError where one makes no sense.
    """
    label = injecting_label(kube)
    revision = label.get("istio.io/rev", "")
    config = _mesh_config(kube, revision)
    root = str(config.get("rootNamespace") or SYSTEM)
    found = {kind: _specs(kube, kind, version, root) for kind, version in IN_ROOT.items()}
    return {
        "config": {name: config[name] for name in SETTINGS if name in config},
        "istiod": _istiod_environment(kube, revision or "default"),
        "root": {kind: specs for kind, specs in found.items() if specs},
        "injection": label,
    }


def injecting_label(kube: Kube) -> dict[str, str]:
    """Return the namespace label by which a webhook of Istio's injects; empty where none does.

    `istio-injection=enabled` where it does; else a revision or tag, the first by name.
    """
    return label_for(kube.items(HOOKS, {"labelSelector": "app=sidecar-injector"}))


def label_for(hooks: Sequence[Obj]) -> dict[str, str]:
    """Return the same, of these MutatingWebhookConfigurations of Istio's."""
    if any(_matches(hook, INJECTION) for hook in hooks):
        return INJECTION
    names = sorted({name for hook in hooks for name in _revisions(hook)})
    labels = ({"istio.io/rev": name} for name in names)
    return next((one for one in labels if any(_matches(hook, one) for hook in hooks)), {})


def istio_version(kube: Kube) -> str:
    """Return the version of the istiod that runs, by its image or chart; empty where none does."""
    path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments"
    for deployment in kube.items(path, {"labelSelector": "app=istiod"}):
        labels = deployment["metadata"].get("labels", {})
        image = str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
        for text in (image.rpartition(":")[2], str(labels.get("app.kubernetes.io/version"))):
            if found := re.match(r"\d+\.\d+(\.\d+)?", text):
                return found.group()
    return ""


def _revisions(hook: Obj) -> Iterable[str]:
    labels = hook["metadata"].get("labels", {})
    return (str(labels[key]) for key in ("istio.io/tag", "istio.io/rev") if key in labels)


def _matches(hook: Obj, labels: dict[str, str]) -> bool:
    """Tell whether one of a configuration's webhooks injects the lab's pods in such a namespace."""
    return any(
        _selects(one.get("namespaceSelector", {}), labels)
        and _selects(one.get("objectSelector", {}), ASKING)
        for one in hook["webhooks"]
    )


def _selects(selector: Obj, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items()
    return all(labels.get(key) == value for key, value in wanted) and all(
        _holds(one, labels) for one in selector.get("matchExpressions", [])
    )


def _holds(expression: Obj, labels: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", [])
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[str(expression["operator"])]


def _mesh_config(kube: Kube, revision: str) -> Obj:
    """Return meshConfig from the revision's ConfigMap, where it has one."""
    names = [f"istio-{revision}", "istio"] if revision else ["istio"]
    for name in names:
        found = kube.get(f"/api/v1/namespaces/{SYSTEM}/configmaps/{name}")
        if found:
            return _settings(name, found["data"].get("mesh", ""))
    return {}


def _istiod_environment(kube: Kube, revision: str) -> dict[str, str]:
    """Return the features of Istio that a revision's istiod is told to have, or not to have."""
    path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments"
    selector = {"labelSelector": f"app=istiod,istio.io/rev={revision}"}
    return {
        variable["name"]: variable["value"]
        for deployment in kube.items(path, selector)
        for container in deployment["spec"]["template"]["spec"]["containers"]
        for variable in container.get("env", [])
        if variable["name"].startswith("PILOT_ENABLE_") and "value" in variable
    }


def _settings(name: str, text: str) -> Obj:
    try:
        return cast(Obj, dict(yaml.safe_load(text) or {}))
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as wrong:
        raise LabError(f"mesh in ConfigMap {SYSTEM}/{name} is no mesh's: {wrong}") from None


def _specs(kube: Kube, kind: str, version: str, namespace: str) -> dict[str, Obj]:
    plural = "authorizationpolicies" if kind.endswith("Policy") else f"{kind.lower()}s"
    plural = "telemetries" if kind == "Telemetry" else plural
    listed = kube.get(f"/apis/{version}/namespaces/{namespace}/{plural}") or {"items": []}
    return {item["metadata"]["name"]: item.get("spec", {}) for item in listed["items"]}
