"""Waits until nodes forward connections to a ClusterIP as the API has it now.

kube-proxy follows the API late, by default once a second at most. When a Service's port gets
another name, its ClusterIP is first served by the old rules, then refused for a moment, since no
endpoint has the new name yet, and then served again. Only connections to the ClusterIP meet this:
those of pods without a sidecar, and those that a sidecar passes through. What matches a filter
chain of the Service's goes to an endpoint directly, and does not meet it.
https://kubernetes.io/docs/reference/networking/virtual-ips/#optimizing-iptables-mode-performance
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from clusters.base import Cluster, PodRef
from clusters.kube import Kube, Obj
from lab.common.wait import until
from lab.record import envoy_admin

NAME = "lab-served"
"""The lab's own Service that shows whether a node has followed: no call is made to it."""
FIRST_PORT = 7001
SECONDS = 20.0
NOT_CONNECTED = (7, 28)
"""curl's exit codes: connection refused, and no answer in time."""


class ServiceRoute(NamedTuple):
    """From a pod to the ClusterIP of a Service in its namespace."""

    pod: PodRef
    service: str


def wait(cluster: Cluster, routes: Iterable[ServiceRoute]) -> None:
    """Wait until the nodes of these pods serve these Services as they are now.

    kube-proxy is told of Services and endpoints in the order of their changes, and writes all of
    them at once. So once the endpoints are listed, one more Service is given a new port: where that
    port is served, the others are too. Raises TimedOut.
    """
    routes = list(routes)
    if not routes:
        return
    kube, namespace = cluster.kube, routes[0].pod.namespace
    names = {route.service for route in routes}
    until(
        lambda: _listed(kube, namespace, names),
        f"endpoints of {', '.join(sorted(names))}",
        timeout=SECONDS,
    )
    address, port = _follow(kube, namespace, routes[0].service)
    waiting = _one_on_each_node(route.pod for route in routes)

    def look() -> bool:
        waiting[:] = [pod for pod in waiting if not _connects(cluster, pod, address, port)]
        return not waiting

    until(look, f"nodes to serve {', '.join(sorted(names))}", timeout=SECONDS, every=0.05)


def _one_on_each_node(pods: Iterable[PodRef]) -> list[PodRef]:
    """Return a pod of each node, without a sidecar where there is one: it is asked at less cost."""
    return [*{pod.node: pod for pod in sorted(pods, key=lambda pod: -pod.has_sidecar)}.values()]


def _listed(kube: Kube, namespace: str, names: Collection[str]) -> bool:
    """Return whether each Service has a ready endpoint at each port, by the port's present name."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    ready = {
        (piece["metadata"]["labels"].get("kubernetes.io/service-name"), *_served(port))
        for piece in kube.items(path)
        for port in piece.get("ports") or []
        if any(end["conditions"].get("ready") for end in piece.get("endpoints") or [])
    }
    wanted = {
        (name, port.get("name", ""), port["targetPort"])
        for name, spec in _services(kube, namespace).items()
        for port in spec["ports"]
        if name in names
    }
    return wanted <= ready


def _served(port: Obj) -> tuple[str, int]:
    return port.get("name") or "", port["port"]


def _services(kube: Kube, namespace: str) -> dict[str, Obj]:
    found = kube.items(f"/api/v1/namespaces/{namespace}/services")
    return {one["metadata"]["name"]: one["spec"] for one in found}


def _follow(kube: Kube, namespace: str, like: str) -> tuple[str, int]:
    """Give the lab's own Service a port that it did not have; return its address and that port.

    like: a Service with the same pods. No proxy is told of the lab's own Service (exportTo).
    """
    there = _services(kube, namespace)
    number = there[NAME]["ports"][0]["port"] + 1 if NAME in there else FIRST_PORT
    target = there[like]["ports"][0]["targetPort"]
    port = {"name": f"tcp-{number}", "port": number, "targetPort": target}
    (made,) = kube.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": NAME, "annotations": {"networking.istio.io/exportTo": "~"}},
                "spec": {"selector": there[like]["selector"], "ports": [port]},
            }
        ],
        namespace,
    )
    return str(made["spec"]["clusterIP"]), number


def _connects(cluster: Cluster, pod: PodRef, address: str, port: int) -> bool:
    """Return whether a pod can connect to an address.

    A sidecar accepts any connection: whether it could pass the connection on, its counters say.
    """
    if not pod.has_sidecar:
        argv = ["timeout", "1", "bash", "-c", f": < /dev/tcp/{address}/{port}"]
        return cluster.exec(pod, argv, timeout=15).code == 0
    there = f"{address}:{port}"
    before = envoy_admin.not_connected(cluster, pod, there)
    argv = ["curl", "-s", "--max-time", "1", f"http://{there}/"]
    if cluster.exec(pod, argv, timeout=15).code in NOT_CONNECTED:
        return False
    return envoy_admin.not_connected(cluster, pod, there) == before
