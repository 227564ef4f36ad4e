"""Waits until a world's pods are ready and its policy is active in every proxy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clusters.base import Cluster
from lab.common.errors import CommandFailed, TimedOut
from lab.common.wait import until
from lab.model.scenario import Call, Port, Service
from lab.planes import config
from lab.record import crashes, held, kube_proxy
from lab.record.crashes import Crashes, exit_code, statuses
from lab.record.views import ConfigurationReader
from lab.record.world import LiveWorld, apply_objects, ready, reference, services
from lab.workloads.manifests import GATEWAYS

ACCEPTED = {"STRICT": "tls", "PERMISSIVE": "tls+plaintext", "DISABLE": "plaintext"}
ACCEPTED[""] = ACCEPTED["PERMISSIVE"]  # the mesh's default
OUTBOUND = {"ISTIO_MUTUAL": "tls", "DISABLE": "plaintext"}


def wait_ready(cluster: Cluster, live: LiveWorld, timeout: float = 180.0) -> None:
    """Wait until every workload has one ready pod.

    Raises LabError with the last words of a container that crashes again and again, and TimedOut
    with the pods' states.
    """
    path = f"/api/v1/namespaces/{live.namespace}/pods"
    wanted = set(live.world.workloads)
    ended = Crashes()

    def look() -> bool:
        pods = cluster.kube.items(path)
        for pod in pods:
            if ready(pod):
                live.pods[pod["metadata"]["labels"]["app"]] = reference(pod)
        crashed = ended.look(pods)
        if crashed:
            raise crashes.error(cluster, *crashed)
        return wanted <= set(live.pods)

    until(
        look,
        f"the pods of {live.namespace}",
        timeout=timeout,
        every=0.1,
        last_seen=lambda: _describe_pods(cluster, live.namespace),
        hint=f"kubectl get pods -n {live.namespace}; kubectl logs shows why",
    )
    apply_objects(cluster, live, with_addresses=True)
    live.services = services(cluster, live.namespace)
    ended_containers(cluster, live)


def ended_containers(cluster: Cluster, live: LiveWorld) -> list[str]:
    """Return what ended of a world's pods since this was last called, a sentence for each.

    Nothing may be concluded of calls made meanwhile: a container that was started again may have
    answered them, or not.
    """
    found = {
        pod["metadata"]["name"]: statuses(pod)
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
                code = exit_code(status)
                how = "" if code is None else f" with code {code}"
                told.append(f"{key[1]} of {workload} ended{how}, and what it did is lost")
            live.restarts[key] = ended
    return told


def on_one_node(live: LiveWorld, calls: Iterable[Call]) -> list[str]:
    """Return a problem for each caller on the same node as the workload it calls.

    Only for clusters with several nodes, on which callers are meant to be apart.
    """
    pairs = dict.fromkeys((call.source, call.to) for call in calls if call.source != "api")
    return [
        f"{source} and {to} of {live.namespace} are both on node {live.pods[source].node}"
        for source, to in pairs
        if live.pods[source].node == live.pods[to].node
    ]


def _describe_pods(cluster: Cluster, namespace: str) -> str:
    """Say in which phase each pod is, and what its containers wait for."""
    told = []
    for pod in cluster.kube.items(f"/api/v1/namespaces/{namespace}/pods"):
        statuses = pod.get("status", {})
        waiting = [
            f"{s['name']}: {_reason(s['state']['waiting'])}"
            for key in ("initContainerStatuses", "containerStatuses")
            for s in statuses.get(key, [])
            if "waiting" in s.get("state", {})
        ]
        told.append(f"{pod['metadata']['name']} {statuses.get('phase')} ({'; '.join(waiting)})")
    return (", ".join(told) or "no pods") + _describe_refused_pods(cluster, namespace)


def _describe_refused_pods(cluster: Cluster, namespace: str) -> str:
    """Say why pods could not be created, such as those that Pod Security refuses."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    conditions = (
        c for one in cluster.kube.items(path) for c in one["status"].get("conditions", [])
    )
    return "".join(f"; {c['message']}" for c in conditions if c["type"] == "ReplicaFailure")


def _reason(waiting: dict[str, str]) -> str:
    return waiting.get("message") or waiting["reason"]


def wait_active(cluster: Cluster, live: LiveWorld, timeout: float = 30.0) -> str:
    """Wait until the proxies' own dumps show this world's policy; return a problem, or nothing.

    An acknowledged update is not an active one: only the dump's active state counts.
    """
    waiting = {name for name, pod in live.pods.items() if pod.has_sidecar}
    reader = ConfigurationReader(cluster, live)

    def look() -> bool:
        for name in sorted(waiting):
            live.configurations[name] = reader.read(name)
            if not _difference(live, name):
                waiting.discard(name)
        return not waiting

    try:
        until(
            look,
            f"the policy of {live.namespace} to be active",
            timeout=timeout,
            every=0.1,
            last_seen=lambda: "; ".join(_difference(live, name) for name in sorted(waiting)),
        )
    except (TimedOut, CommandFailed) as problem:
        return str(problem)
    return ""


def _difference(live: LiveWorld, name: str) -> str:
    """Return the first thing in a proxy's view that is not as this world's policy wants it."""
    seen, objects, labels = live.configurations[name], live.objects, live.labels(name)
    limits = held.scope(objects, labels)
    for service in live.world.services:
        for port in service.ports:
            if name == service.workload and name not in GATEWAYS:
                accepted = config.accepts(seen.view, int(port.target))
                wanted = held.mode(objects, labels, int(port.target), live.world.mtls)
                if accepted != ACCEPTED[wanted]:
                    return f"{name} accepts {accepted or 'nothing'} at {port.target}"
            problem = _outbound_difference(live, name, service, port)
            if not held.in_scope(limits, service.name, live.namespace):
                problem = f"{name} is told of {service.name}" if not problem else ""
            if problem:
                return problem
    absent = held.missing(objects, seen.dump, labels, live.namespace)
    return f"{name} does not hold {absent}" if absent else ""


def _outbound_difference(live: LiveWorld, name: str, service: Service, port: Port) -> str:
    if _for_udp(port):
        return ""
    seen = live.configurations[name].view
    host = f"{service.name}.{live.namespace}.svc.cluster.local"
    cluster = f"outbound|{port.number}||{host}"
    spoken, address = config.speaks(seen, cluster), f"{live.pods[service.workload].ip}"
    healthy = [e for e in seen["endpoints"].get(cluster, []) if e["health_status"] == "HEALTHY"]
    if not spoken:
        return f"{name} has no cluster for {service.name}:{port.number}"
    # Without a rule the mesh decides how it speaks: that is for the verdict to see.
    if live.world.rule and spoken != OUTBOUND[live.world.rule]:
        return f"{name} speaks {spoken} to {service.name}:{port.number}"
    if service.headless:
        return ""  # its cluster goes to the address that was asked
    if f"{address}:{port.target}" not in [endpoint["address"] for endpoint in healthy]:
        return f"{name} has no endpoint {address}:{port.target} of {service.name}"
    return ""


def _for_udp(port: Port) -> bool:
    """Return whether Istio takes a port for UDP: proxies have no cluster for it."""
    return (port.app_protocol or port.name).partition("-")[0] == "udp"


def service_routes(
    live: LiveWorld, calls: Iterable[Call], *, passthrough: bool
) -> Iterator[kube_proxy.ServiceRoute]:
    """Yield the routes of those calls that connect to a ClusterIP, and not to an endpoint.

    passthrough: whether any of them may, since it passes through a sidecar that knows the Service.
    """
    for_udp = {
        (service.name, port.number)
        for service in live.world.services
        for port in service.ports
        if _for_udp(port)
    }
    for call in calls:
        _, service, port = call.asked
        if call.source == "api" or service not in live.services:
            continue
        if passthrough or not live.pods[call.source].has_sidecar or (service, port) in for_udp:
            yield service_route(live, call)


def service_route(live: LiveWorld, call: Call) -> kube_proxy.ServiceRoute:
    """Return the route from a call's pod to the Service that it asks."""
    _, service, _ = call.asked
    return kube_proxy.ServiceRoute(live.pods[call.source], service)
