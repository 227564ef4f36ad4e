"""Deploys a world on a live cluster, records its pods, and removes it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusters.base import BY_LABEL, FAILURE_LABEL, RUN_LABEL, Cluster, PodRef, me
from clusters.kube import ApiError, Obj, documents
from lab.model.evidence import PodRecord, ServiceRecord
from lab.model.scenario import World, fill
from lab.record import access_log, envoy_admin, kube_proxy
from lab.record.configuration import Configuration
from lab.workloads import variants
from lab.workloads.manifests import WORKLOADS, Setting

EXPORT_TO = "networking.istio.io/exportTo"
NAMESPACES = "/api/v1/namespaces"
MESH_WIDE = {
    ("security.istio.io/v1", "PeerAuthentication"): "peerauthentications",
    ("security.istio.io/v1", "RequestAuthentication"): "requestauthentications",
    ("security.istio.io/v1", "AuthorizationPolicy"): "authorizationpolicies",
    ("networking.istio.io/v1", "DestinationRule"): "destinationrules",
    ("networking.istio.io/v1", "Sidecar"): "sidecars",
    ("networking.istio.io/v1alpha3", "EnvoyFilter"): "envoyfilters",
    ("telemetry.istio.io/v1", "Telemetry"): "telemetries",
}
"""(apiVersion, kind) -> plural, of what holds for a whole mesh where it lies in istiod's namespace.
What a remedy of scope `mesh` applies must be of these, or a killed run's would not be found again.
https://istio.io/latest/docs/reference/config/"""


@dataclass
class LiveWorld:
    """A world as it is deployed: its namespace, pods and Services."""

    world: World
    namespace: str
    run: str = ""
    pods: dict[str, PodRef] = field(default_factory=dict)
    services: dict[str, ServiceRecord] = field(default_factory=dict)
    configurations: dict[str, Configuration] = field(default_factory=dict)
    """Workload -> the configuration of its proxy, as last read."""
    namespaces: dict[str, str] = field(default_factory=dict)
    """The world's other namespaces: the name it gives them -> the name on the cluster."""
    restarts: dict[tuple[str, str], int] = field(default_factory=dict)
    """(workload, container) -> how often it had ended, as last read."""

    called_ports: set[int] = field(default_factory=set)
    """Ports that are called at pods' own addresses: a Service need not have them."""

    @property
    def values(self) -> dict[str, str]:
        """Return what placeholders stand for here: namespaces, and the addresses of ready pods."""
        others = {f"namespace:{name}": there for name, there in self.namespaces.items()}
        addresses = {f"ip:{name}": pod.ip for name, pod in self.pods.items()}
        return {"namespace": self.namespace, **others, **addresses}

    @property
    def objects(self) -> list[Obj]:
        """Return the world's further objects, as they are applied."""
        return [*documents(fill(self.world.objects, self.values))]

    def labels(self, workload: str) -> dict[str, str]:
        """Return the labels of a workload's pod by which objects select it."""
        differing = {variant.name: variant.labels for variant in self.world.variants}
        return {"app": workload, **differing.get(workload, {})}

    @property
    def private(self) -> bool:
        """Tell whether its Services are visible in its own namespace only.

        Else every proxy of the mesh is told of them and of their pods, which costs each of them
        time, and a port that one world calls HTTP is HTTP for all others too.
        """
        return not any("kind: Deployment" in other.objects for other in self.world.others)

    def exported(self, objects: Iterable[Obj]) -> list[Obj]:
        """Return objects as they are applied here: with Services visible where they are to be.

        https://istio.io/latest/docs/reference/config/annotations/#NetworkingExportTo
        """
        made = list(objects)
        for obj in made if self.private else []:
            if obj["kind"] == "Service":
                obj["metadata"].setdefault("annotations", {}).setdefault(EXPORT_TO, ".")
        return made

    @property
    def all_ports(self) -> set[int]:
        """Service ports, target ports, and ports that are called at pods' own addresses."""
        ports = [port for service in self.world.services for port in service.ports]
        targets = {int(port.target) for port in ports}
        return {port.number for port in ports} | targets | self.called_ports


def deploy(
    cluster: Cluster,
    world: World,
    run: str,
    failure: str,
    mesh: Mapping[str, Any],
    *,
    namespace: str = "",
) -> LiveWorld:
    """Apply a world's namespace, policy, Services and workloads; nothing is waited for.

    The post's world takes the post's own namespace name where it is free. mesh: the mesh's settings
    (clusters/mesh.py), which say what label injects sidecars and which access log is written.
    namespace: its name, where that is free.
    """
    own = f"with-istio-{failure.replace('_', '-')}-{world.name}-{run[-4:]}"
    names = ["with-istio", own] if world.name == "posted" else [own]
    names = [namespace, f"{namespace}-{run[-4:]}"] if namespace else names
    labels = {RUN_LABEL: run, FAILURE_LABEL: failure, BY_LABEL: me(), **mesh["injection"]}
    live = LiveWorld(world, _namespace(cluster, names, labels), run)
    if not access_log.has_our_fields(mesh["config"]):
        cluster.kube.apply([access_log.envoy_filter()], live.namespace)
    cluster.kube.apply(fill(world.policy, {"namespace": live.namespace}))
    setting = Setting()
    for service in world.services:
        cluster.kube.apply(live.exported(documents(service.manifest)), live.namespace)
    differing = {variant.name: variant for variant in world.variants}
    for name in world.workloads:
        made = differing.get(name)
        objects = variants.manifests(made, setting) if made else WORKLOADS[name](setting)
        cluster.kube.apply(objects, live.namespace)
    for other in world.others:
        namespace = _namespace(cluster, [f"{own}-{other.name}"], {**labels, **dict(other.labels)})
        live.namespaces[other.name] = namespace
        cluster.kube.apply(fill(other.objects, live.values), namespace)
    apply_objects(cluster, live, with_addresses=False)
    return live


def apply_objects(cluster: Cluster, live: LiveWorld, *, with_addresses: bool) -> None:
    """Apply the world's further objects: those that name a pod's address, or the others.

    Addresses are known once the pods are ready.
    """
    texts = re.split(r"^---\n", live.world.objects, flags=re.MULTILINE)
    for text in texts:
        if text.strip() and ("{ip:" in text) == with_addresses:
            objects = live.exported(documents(fill(text, live.values)))
            cluster.kube.apply(objects, live.namespace)


def _namespace(cluster: Cluster, names: list[str], labels: dict[str, str]) -> str:
    """Create the first of these namespaces that does not exist yet; return its name."""
    for name in names:
        meta = {"name": name, "labels": labels}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        try:
            cluster.kube.request("POST", "/api/v1/namespaces", body)
            return name
        except ApiError as refused:
            if refused.status != 409 or name == names[-1]:
                raise
    raise AssertionError("unreachable")


def services(cluster: Cluster, namespace: str) -> dict[str, ServiceRecord]:
    """Return the Services of a namespace as they are now, without the lab's own (kube_proxy)."""
    found = {}
    for service in cluster.kube.items(f"/api/v1/namespaces/{namespace}/services"):
        spec = service["spec"]
        if "clusterIP" not in spec:
            continue  # an ExternalName is a name in DNS, and no more
        targets = {str(port["port"]): int(port["targetPort"]) for port in spec["ports"]}
        found[service["metadata"]["name"]] = ServiceRecord(spec["clusterIP"], targets)
    found.pop(kube_proxy.NAME, None)
    return found


def ready(pod: Obj) -> bool:
    """Return whether a pod, as the API has it, is ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def reference(pod: Obj) -> PodRef:
    """Return what the lab needs of a pod, from the object that the API has."""
    spec, meta = pod["spec"], pod["metadata"]
    containers = [
        str(container["name"])
        for key in ("containers", "initContainers")
        for container in spec.get(key) or []
    ]
    names = [n for n in containers if n not in ("istio-proxy", "istio-init")]
    names += ["istio-proxy"] if "istio-proxy" in containers else []
    return PodRef(
        str(meta["namespace"]),
        str(meta["name"]),
        str(pod["status"]["podIP"]),
        tuple(names),
        str(spec["nodeName"]),
        str(meta["uid"]),
    )


def pod_record(cluster: Cluster, pod: PodRef) -> PodRecord:
    """Read what is recorded of a pod: its proxy's version, start, certificate, refused updates."""
    if not pod.has_sidecar:
        return PodRecord(pod.name, pod.ip, sidecar=False, node=pod.node)
    told = envoy_admin.info(cluster, pod)
    seen = envoy_admin.stats(cluster, pod, "update_rejected|dynamic_unknown_fields")
    return PodRecord(
        pod.name,
        pod.ip,
        sidecar=True,
        envoy_version=told.version,
        envoy_started=told.started,
        certificate=envoy_admin.certificate(cluster, pod),
        rejected=sum(n for name, n in seen.items() if name.endswith("update_rejected")),
        unknown_fields=seen.get("server.dynamic_unknown_fields", -1),
        node=pod.node,
        flavour=told.flavour,
        node_type=told.node_type,
    )


def secrets(cluster: Cluster, namespace: str) -> tuple[str, ...]:
    """Return the names of the Secrets in a namespace."""
    found = cluster.kube.items(f"/api/v1/namespaces/{namespace}/secrets")
    return tuple(sorted(str(secret["metadata"]["name"]) for secret in found))


def namespaces_of_run(cluster: Cluster, run: str) -> list[str]:
    """Return the namespaces that carry a run's label."""
    return [str(found["metadata"]["name"]) for found in _namespaces(cluster, run)]


def _namespaces(cluster: Cluster, run: str, failure: str = "") -> list[Obj]:
    """Return a run's namespaces as the API has them. failure: only those of its worlds."""
    selector = f"{RUN_LABEL}={run}" + (f",{FAILURE_LABEL}={failure}" if failure else "")
    return cluster.kube.items(NAMESPACES, {"labelSelector": selector})


def remove(cluster: Cluster, run: str) -> None:
    """Delete every namespace that carries a run's label, and what the run changed of the mesh."""
    namespaces = (f"{NAMESPACES}/{name}" for name in namespaces_of_run(cluster, run))
    for path in [*_mesh_wide(cluster, run), *namespaces]:
        with contextlib.suppress(ApiError):
            cluster.kube.request("DELETE", path)


def freed(cluster: Cluster, run: str, failure: str) -> bool:
    """Delete a failure's namespaces of a run, once; return whether their pods are gone."""
    namespaces = [found["metadata"] for found in _namespaces(cluster, run, failure)]
    for meta in namespaces:
        path = f"{NAMESPACES}/{meta['name']}"
        if "deletionTimestamp" not in meta:
            with contextlib.suppress(ApiError):  # it is gone, or is asked again
                cluster.kube.request("DELETE", path)
                # The namespace's controller would come to them after many other kinds of objects.
                cluster.kube.request("DELETE", f"{path}/pods")
    return not any(cluster.kube.items(f"{NAMESPACES}/{meta['name']}/pods") for meta in namespaces)


def _mesh_wide(cluster: Cluster, run: str) -> list[str]:
    """Return the paths of what a trial of the whole mesh applied and could not take back."""
    if "mesh-scope" not in cluster.offers():
        return []
    paths = []
    for (version, _), plural in MESH_WIDE.items():
        selector = {"labelSelector": f"{RUN_LABEL}={run}"}
        with contextlib.suppress(ApiError):  # this Istio may not have that kind
            for obj in cluster.kube.items(f"/apis/{version}/{plural}", selector):
                meta = obj["metadata"]
                place = f"namespaces/{meta['namespace']}/{plural}/{meta['name']}"
                paths.append(f"/apis/{version}/{place}")
    return paths
