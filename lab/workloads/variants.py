"""A workload of the lab's with another name, other annotations, or without its sidecar."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.workloads.manifests import Setting

Obj = dict[str, Any]
PROXY_CONFIG = "proxy.istio.io/config"


@dataclass(frozen=True)
class Variant:
    """How one workload of a world differs from the workload of the lab that it is made of."""

    name: str
    of: str = ""
    """The workload it is made of (lab.workloads.manifests.WORKLOADS); empty: `name` is one."""
    image: str = ""
    """Another image (lab.workloads.catalogue)."""
    args: tuple[str, ...] = ()
    """Other arguments."""
    ports: tuple[int, ...] = ()
    """Other ports; readiness is asked of the first."""
    sidecar: bool = True
    """False: `sidecar.istio.io/inject: "false"`."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Added to the pod's own."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Added to the pod's own."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Its proxy's: `ISTIO_META_HTTP10`."""


def manifests(variant: Variant, setting: Setting) -> list[Obj]:
    """Return the variant's objects: ServiceAccount and Deployment."""
    from lab.workloads.catalogue import reference
    from lab.workloads.manifests import WORKLOADS, readiness

    objects = copy.deepcopy(WORKLOADS[variant.of or variant.name](setting))
    deployment = next(one for one in objects if one["kind"] == "Deployment")
    account = next(one for one in objects if one["kind"] == "ServiceAccount")
    template = deployment["spec"]["template"]
    meta, pod = template["metadata"], template["spec"]
    container = pod["containers"][0]
    for named in (deployment["metadata"], account["metadata"], container):
        named["name"] = variant.name
    deployment["metadata"]["labels"]["app"] = variant.name
    deployment["spec"]["selector"]["matchLabels"]["app"] = variant.name
    meta["labels"]["app"] = pod["serviceAccountName"] = variant.name
    if not variant.sidecar:
        meta["labels"]["sidecar.istio.io/inject"] = "false"
    meta["labels"].update(variant.labels)
    meta["annotations"].update(variant.annotations)
    if variant.metadata:
        config = json.loads(meta["annotations"][PROXY_CONFIG])
        config["proxyMetadata"] = {**config.get("proxyMetadata", {}), **variant.metadata}
        meta["annotations"][PROXY_CONFIG] = json.dumps(config)
    if variant.image:
        container["image"] = reference(variant.image)
        container.pop("command", None)
    if variant.args:
        container["args"] = [*variant.args]
    if variant.ports:
        container["ports"] = [{"containerPort": port} for port in variant.ports]
        container["readinessProbe"] = readiness(variant.ports[0])
    return objects
