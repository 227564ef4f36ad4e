"""A world on a live cluster: its namespace, its pods, and what its proxies say is active."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusters.base import BY_LABEL, RUN_LABEL, Cluster, PodRef, me
from clusters.kube import ApiError, Obj, documents
from lab import access_log, failures, proxy, served
from lab.errors import CommandFailed, TimedOut
from lab.evidence import PodRecord, ServiceRecord
from lab.failure import Call, Port, Service, World, fill
from lab.planes import config
from lab.wait import until
from lab.workloads.manifests import GATEWAYS, WORKLOADS, Setting

EXPECTED = {"STRICT": "tls", "PERMISSIVE": "tls+plaintext", "DISABLE": "plaintext"}
EXPECTED[""] = EXPECTED["PERMISSIVE"]  # the mesh's default
NAMESPACES = "/api/v1/namespaces"
OUTBOUND = {"ISTIO_MUTUAL": "tls", "DISABLE": "plaintext"}


@dataclass
class LiveWorld:
    """Where a world lives now."""

    world: World
    namespace: str
    run: str = ""
    pods: dict[str, PodRef] = field(default_factory=dict)
    services: dict[str, ServiceRecord] = field(default_factory=dict)
    views: dict[str, config.View] = field(default_factory=dict)
    """What each proxy holds, as last looked at."""
    restarts: dict[tuple[str, str], int] = field(default_factory=dict)
    """(workload, container) -> how often it had been started again, as last looked at."""

    @property
    def all_ports(self) -> set[int]:
        """Service ports and target ports."""
        ports = [port for service in self.world.services for port in service.ports]
        return {port.number for port in ports} | {int(port.target) for port in ports}


def deploy(
    cluster: Cluster, world: World, run: str, failure: str, mesh: Mapping[str, Any]
) -> LiveWorld:
    """Namespace, policy, workloads: all applied when this returns, nothing awaited.

    The post's world takes the post's own namespace name where it is free. mesh: its settings
    (clusters/mesh.py): the label that injects, and whether the access log has to be ours.
    """
    own = f"with-istio-{failure.partition('_')[0]}-{world.name}-{run[-4:]}"
    names = ["with-istio", own] if world.name == "posted" else [own]
    labels = {RUN_LABEL: run, BY_LABEL: me(), **mesh["injection"]}
    live = LiveWorld(world, _namespace(cluster, names, labels), run)
    if not access_log.ours(mesh["config"]):
        cluster.kube.apply([access_log.envoy_filter()], live.namespace)
    cluster.kube.apply(fill(world.policy, {"namespace": live.namespace}))
    setting = Setting()
    for service in world.services:
        cluster.kube.apply(service.manifest, live.namespace)
    for name in world.workloads:
        cluster.kube.apply(WORKLOADS[name](setting), live.namespace)
    return live


def _namespace(cluster: Cluster, names: list[str], labels: dict[str, str]) -> str:
    """Make the first of these namespaces that is not there yet."""
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


def wait_ready(cluster: Cluster, live: LiveWorld, timeout: float = 180.0) -> None:
    """Until every workload has one ready pod. Raises TimedOut with what the pods say."""
    path = f"/api/v1/namespaces/{live.namespace}/pods"
    wanted = set(live.world.workloads)

    def look() -> bool:
        for pod in cluster.kube.items(path):
            if ready(pod):
                live.pods[pod["metadata"]["labels"]["app"]] = reference(pod)
        return wanted <= set(live.pods)

    until(
        look,
        f"the pods of {live.namespace}",
        timeout=timeout,
        every=0.1,
        last_seen=lambda: _say_pods(cluster, path) + _say_refused(cluster, live.namespace),
        hint=f"kubectl get pods -n {live.namespace}; kubectl logs shows why",
    )
    live.services = services(cluster, live.namespace)
    restarted(cluster, live)


def restarted(cluster: Cluster, live: LiveWorld) -> list[str]:
    """What ended of a world's pods since this was last asked: nothing may be concluded meanwhile.

    It is told in words; a container that was started again may have answered calls, or not.
    """
    found = {
        pod["metadata"]["name"]: _statuses(pod)
        for pod in cluster.kube.items(f"/api/v1/namespaces/{live.namespace}/pods")
    }
    told = [
        f"the pod of {workload} is gone: {pod.name}"
        for workload, pod in live.pods.items()
        if pod.name not in found
    ]
    for workload, pod in live.pods.items():
        for status in found.get(pod.name, ()):
            key = (workload, str(status["name"]))
            ended = int(status["restartCount"]) + ("running" not in status["state"])
            if ended > live.restarts.setdefault(key, ended):
                told.append(f"{key[1]} of {workload} ended{_how(status)}, and what it did is lost")
            live.restarts[key] = ended
    return told


def _statuses(pod: dict[str, dict[str, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    keys = ("initContainerStatuses", "containerStatuses")
    return [status for key in keys for status in pod["status"].get(key, [])]


def _how(status: dict[str, Any]) -> str:
    for state in (status["state"], status.get("lastState") or {}):
        if "terminated" in state:
            return f" with code {state['terminated']['exitCode']}"
    return ""


def together(live: LiveWorld, calls: Iterable[Call]) -> list[str]:
    """Callers that share a node with whom they call: a problem where there are several nodes."""
    pairs = dict.fromkeys((call.source, call.to) for call in calls if call.source != "api")
    return [
        f"{source} and {to} of {live.namespace} are both on node {live.pods[source].node}"
        for source, to in pairs
        if live.pods[source].node == live.pods[to].node
    ]


def services(cluster: Cluster, namespace: str) -> dict[str, ServiceRecord]:
    """The Services of a namespace as they are now, without the one that is only waited with."""
    found = {}
    for service in cluster.kube.items(f"/api/v1/namespaces/{namespace}/services"):
        spec = service["spec"]
        targets = {str(port["port"]): int(port["targetPort"]) for port in spec["ports"]}
        found[service["metadata"]["name"]] = ServiceRecord(spec["clusterIP"], targets)
    found.pop(served.NAME, None)
    return found


def ready(pod: Obj) -> bool:
    """Whether a pod, as the API has it, says so of itself."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def reference(pod: Obj) -> PodRef:
    """A pod as the API has it, by what is needed of it."""
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
    )


def _say_pods(cluster: Cluster, path: str) -> str:
    told = []
    for pod in cluster.kube.items(path):
        statuses = pod.get("status", {})
        waiting = [
            f"{s['name']}: {_reason(s['state']['waiting'])}"
            for key in ("initContainerStatuses", "containerStatuses")
            for s in statuses.get(key, [])
            if "waiting" in s.get("state", {})
        ]
        told.append(f"{pod['metadata']['name']} {statuses.get('phase')} ({'; '.join(waiting)})")
    return ", ".join(told) or "no pods"


def _say_refused(cluster: Cluster, namespace: str) -> str:
    """Pods that nobody could make, such as those that Pod Security refuses."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    conditions = (
        c for one in cluster.kube.items(path) for c in one["status"].get("conditions", [])
    )
    return "".join(f"; {c['message']}" for c in conditions if c["type"] == "ReplicaFailure")


def _reason(waiting: dict[str, str]) -> str:
    return waiting.get("message") or waiting["reason"]


def wait_active(cluster: Cluster, live: LiveWorld, timeout: float = 30.0) -> str:
    """Until the proxies' own dumps show this world's policy; returns a problem, or nothing.

    An acknowledged update is not an active one: only the dump's active state counts.
    """
    waiting = {name for name, pod in live.pods.items() if pod.has_sidecar}

    def look() -> bool:
        for name in sorted(waiting):
            live.views[name] = view(cluster, live, name)
            if not _differs(live, name):
                waiting.discard(name)
        return not waiting

    try:
        until(
            look,
            f"the policy of {live.namespace} to be active",
            timeout=timeout,
            every=0.1,
            last_seen=lambda: "; ".join(_differs(live, name) for name in sorted(waiting)),
        )
    except (TimedOut, CommandFailed) as problem:
        return str(problem)
    return ""


def view(cluster: Cluster, live: LiveWorld, name: str) -> config.View:
    """What istiod told this workload's proxy about the world's Services."""
    dump = proxy.config_dump(cluster, live.pods[name])
    addresses = [service.cluster_ip for service in live.services.values()]
    return config.reduce(dump, live.namespace, live.all_ports, addresses)


def _differs(live: LiveWorld, name: str) -> str:
    """The first thing in a proxy's view that is not as this world's policy wants it."""
    seen = live.views[name]
    for service in live.world.services:
        for port in service.ports:
            if name == service.workload and name not in GATEWAYS:
                accepted = config.accepts(seen, int(port.target))
                if accepted != EXPECTED[live.world.mtls]:
                    return f"{name} accepts {accepted or 'nothing'} at {port.target}"
            problem = _outbound(live, name, service, port)
            if problem:
                return problem
    return ""


def _outbound(live: LiveWorld, name: str, service: Service, port: Port) -> str:
    if _for_udp(port):
        return ""
    seen = live.views[name]
    host = f"{service.name}.{live.namespace}.svc.cluster.local"
    cluster = f"outbound|{port.number}||{host}"
    spoken, address = config.speaks(seen, cluster), f"{live.pods[service.workload].ip}"
    healthy = [e for e in seen["endpoints"].get(cluster, []) if e["health_status"] == "HEALTHY"]
    # Without a rule the mesh decides how it speaks: that is for the verdict to see.
    if not spoken or (live.world.rule and spoken != OUTBOUND[live.world.rule]):
        return f"{name} speaks {spoken or 'not at all'} to {service.name}:{port.number}"
    if f"{address}:{port.target}" not in [endpoint["address"] for endpoint in healthy]:
        return f"{name} has no endpoint {address}:{port.target} of {service.name}"
    return ""


def _for_udp(port: Port) -> bool:
    """Istio knows no cluster for it: proxies pass on what is sent to its ClusterIP."""
    return (port.app_protocol or port.name).partition("-")[0] == "udp"


def ways(live: LiveWorld, calls: Iterable[Call]) -> Iterator[served.Way]:
    """Those of the calls' ways that lead over a ClusterIP."""
    passed_on = {
        (service.name, port.number)
        for service in live.world.services
        for port in service.ports
        if _for_udp(port)
    }
    for call in calls:
        _, service, port = call.asked
        if call.source == "api" or service not in live.services:
            continue
        if not live.pods[call.source].has_sidecar or (service, port) in passed_on:
            yield way(live, call)


def way(live: LiveWorld, call: Call) -> served.Way:
    """From a call's pod to the Service that it asks."""
    _, service, _ = call.asked
    return served.Way(live.pods[call.source], service)


def pod_record(cluster: Cluster, pod: PodRef) -> PodRecord:
    """What is recorded of a pod; of its sidecar its version, start, identity and refusals."""
    if not pod.has_sidecar:
        return PodRecord(pod.name, pod.ip, sidecar=False, node=pod.node)
    told = proxy.info(cluster, pod)
    seen = proxy.stats(cluster, pod, "update_rejected|dynamic_unknown_fields")
    return PodRecord(
        pod.name,
        pod.ip,
        sidecar=True,
        envoy_version=told.version,
        envoy_started=told.started,
        certificate=proxy.certificate(cluster, pod),
        rejected=sum(n for name, n in seen.items() if name.endswith("update_rejected")),
        unknown_fields=seen.get("server.dynamic_unknown_fields", -1),
        node=pod.node,
        flavour=told.flavour,
        node_type=told.node_type,
    )


def secrets(cluster: Cluster, namespace: str) -> tuple[str, ...]:
    """Names of the Secrets in a namespace."""
    found = cluster.kube.items(f"/api/v1/namespaces/{namespace}/secrets")
    return tuple(sorted(str(secret["metadata"]["name"]) for secret in found))


def left(cluster: Cluster, run: str) -> list[str]:
    """The namespaces that carry the run's label."""
    found = cluster.kube.items("/api/v1/namespaces", {"labelSelector": f"{RUN_LABEL}={run}"})
    return [str(namespace["metadata"]["name"]) for namespace in found]


def remove(cluster: Cluster, run: str) -> None:
    """Delete every namespace that carries the run's label, and what it changed of the mesh."""
    for path in [*_mesh_wide(cluster, run), *(f"{NAMESPACES}/{one}" for one in left(cluster, run))]:
        with contextlib.suppress(ApiError):
            cluster.kube.request("DELETE", path)


def _mesh_wide(cluster: Cluster, run: str) -> list[str]:
    """Paths of what a trial of a whole mesh applied and could not take back."""
    if "mesh-scope" not in cluster.offers():
        return []
    loaded = (failures.load(name) for name in failures.names())
    changes = (r.change.after for one in loaded for r in one.remedies if r.scope == "mesh")
    paths = {cluster.kube.path(obj) for text in changes for obj in documents(text)}
    found = ((path, cluster.kube.get(path) or {"metadata": {}}) for path in sorted(paths))
    return [path for path, obj in found if obj["metadata"].get("labels", {}).get(RUN_LABEL) == run]
