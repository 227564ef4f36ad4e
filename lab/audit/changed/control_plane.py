"""Which istiod a cluster's objects are read by: its revision, its settings, and its version."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from clusters.kube import Obj
from clusters.stacks import binaries
from lab.common.errors import BadArguments, BadEvidence, LabError

NAMESPACE = "istio-system"
_READ = re.compile(r"^(PILOT|ISTIO|ENABLE|AMBIENT)_[A-Z0-9_]+$|^(CLUSTER_ID|SHARED_MESH_CONFIG)$")
"""Names of istiod's settings that are taken over; what else its container has is about its pod."""
_NOWHERE = "http://127.0.0.1:9"
OWN = {
    "ENABLE_CA_SERVER": "false",
    "INJECT_ENABLED": "false",
    "PILOT_CERT_PROVIDER": "none",
    "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
    "RESOLVE_HOSTNAME_GATEWAYS": "false",
    "POD_NAME": "istiod-generate",
    "HTTP_PROXY": _NOWHERE,
    "HTTPS_PROXY": _NOWHERE,
    "NO_PROXY": "",
}
"""It signs nothing, injects nothing, starts no gateway, and asks nobody outside: neither a name
server, nor an issuer of JWTs for its keys."""


class NotReproduced(LabError):
    """An istiod that is not reproduced here: all that it would tell proxies is unknown."""

    exit_code = 3


@dataclass(frozen=True)
class ControlPlane:
    """One istiod."""

    revision: str
    settings: Mapping[str, str]
    stack: str
    """The folder of clusters/stacks whose Istio has its minor version."""
    assumed: str = ""
    """What was not told, and is assumed."""

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment in which the generator is started."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        own = {"REVISION": self.revision, "POD_NAMESPACE": NAMESPACE, **OWN}
        return {**kept, **self.settings, **own}


def find(objects: Sequence[Obj], pods: Sequence[Obj]) -> ControlPlane:
    """Return the istiod of a cluster's objects. pods: those with a proxy.

    Raises NotReproduced for one that is not reproduced here, and BadArguments where the mesh's
    configuration is not among the objects.
    """
    deployments = [one for one in objects if _is_istiod(one)]
    if len(deployments) > 1:
        names = ", ".join(sorted(one["metadata"]["name"] for one in deployments))
        raise NotReproduced(f"there are several control planes, which is not covered: {names}")
    deployment = deployments[0] if deployments else None
    revision = "default"
    if deployment:
        revision = (deployment["metadata"].get("labels") or {}).get("istio.io/rev", "default")
    _check_mesh(_mesh_config(objects, revision))
    assumed = "" if deployment else "istiod's settings: those that Istio has by default"
    images = [
        *_images([deployment] if deployment else [], "discovery"),
        *_images(pods, "istio-proxy"),
    ]
    return ControlPlane(str(revision), _settings(deployment), _stack(images), assumed)


def _is_istiod(obj: Obj) -> bool:
    meta = obj["metadata"]
    labels = meta.get("labels") or {}
    same = obj["kind"] == "Deployment" and meta.get("namespace") == NAMESPACE
    return same and labels.get("app") == "istiod"


def _mesh_config(objects: Sequence[Obj], revision: str) -> Mapping[str, Any]:
    name = "istio" if revision in ("", "default") else f"istio-{revision}"
    for one in objects:
        meta = one["metadata"]
        if one["kind"] == "ConfigMap" and (meta.get("namespace"), meta["name"]) == (
            NAMESPACE,
            name,
        ):
            return _parsed(str((one.get("data") or {}).get("mesh") or "{}"))
    raise BadArguments(
        f"the mesh's configuration is not among the objects: ConfigMap {NAMESPACE}/{name}",
        hint=f"kubectl get configmap {name} -n {NAMESPACE} -o yaml, beside the other files",
    )


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        raise BadEvidence("the mesh's configuration is no YAML") from None
    return found if isinstance(found, dict) else {}


def _check_mesh(mesh: Mapping[str, Any]) -> None:
    if mesh.get("configSources"):
        raise NotReproduced("istiod reads its configuration from elsewhere too: configSources")
    if mesh.get("rootNamespace", NAMESPACE) != NAMESPACE:
        raise NotReproduced(f"the mesh's root namespace is not {NAMESPACE}")


def _settings(deployment: Obj | None) -> dict[str, str]:
    if deployment is None:
        return {}
    return {
        str(one["name"]): str(one["value"])
        for container in deployment["spec"]["template"]["spec"]["containers"]
        if container["name"] == "discovery"
        for one in container.get("env") or ()
        if "value" in one and _READ.match(str(one["name"]))
    }


def _images(owners: Sequence[Obj], container: str) -> list[str]:
    found = []
    for one in owners:
        spec = one["spec"].get("template", one)["spec"]
        every = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
        found += [str(each.get("image", "")) for each in every if each["name"] == container]
    return found


def _stack(images: Sequence[str]) -> str:
    """Return the stack of the first image whose tag is a version: istiod's, else a proxy's."""
    for image in images:
        if version := re.search(r":v?(\d+\.\d+)(\.|-|$)", image.rpartition("/")[2]):
            if version[1] in binaries.generated():
                return version[1]
            there = ", ".join(binaries.generated())
            raise NotReproduced(f"it is Istio {version[1]}, and only {there} is reproduced here")
    raise NotReproduced("no image of istiod or of a proxy says which Istio it is")
