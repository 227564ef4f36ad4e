"""Whether nodes send on what is for a ClusterIP as the API has it by now.

kube-proxy follows the API later, by its default once a second at most. When a Service's port gets
another name, its ClusterIP is served by the rules as they were, then for a moment refused, since
no endpoint has that name yet, and only then served again. Proxies that have the Service's endpoints
do not go that way; those that pass a connection on do.
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
"""A Service by which a node is seen to have followed: no call is made to it."""
FIRST_PORT = 7001
SECONDS = 20.0
NOT_CONNECTED = (7, 28)
"""curl's codes: refused, and nothing came back in time."""


class Way(NamedTuple):
    """From a pod to a Service of its namespace, over the ClusterIP."""

    pod: PodRef
    service: str


def wait(cluster: Cluster, ways: Iterable[Way]) -> None:
    """Until the nodes of these pods serve these Services as they are now.

    kube-proxy is told of Services and of their endpoints in the order of the changes, and writes
    all that it was told at once. So once endpoints are listed, a port is given to one more Service;
    where that is served, the others are. Raises TimedOut.
    """
    ways = list(ways)
    if not ways:
        return
    kube, namespace = cluster.kube, ways[0].pod.namespace
    names = {way.service for way in ways}
    until(
        lambda: _listed(kube, namespace, names),
        f"endpoints of {', '.join(sorted(names))}",
        timeout=SECONDS,
    )
    address, port = _follow(kube, namespace, ways[0].service)
    waiting = list(dict.fromkeys(way.pod for way in ways))

    def look() -> bool:
        waiting[:] = [pod for pod in waiting if not _connects(cluster, pod, address, port)]
        return not waiting

    until(look, f"nodes to serve {', '.join(sorted(names))}", timeout=SECONDS, every=0.05)


def _listed(kube: Kube, namespace: str, names: Collection[str]) -> bool:
    """Whether each has a ready endpoint at each of its ports, by the port's present name."""
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
    """Give the lab's own Service a port that it did not have; where that is to be served.

    like: a Service of the same pods. No proxy is told of it.
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
    """A sidecar takes any connection, and tells by its counters what came of passing it on."""
    there = f"{address}:{port}"
    before = envoy_admin.not_connected(cluster, pod, there) if pod.has_sidecar else 0
    argv = ["curl", "-s", "--max-time", "1", f"http://{there}/"]
    if not pod.has_sidecar:
        argv.append("--connect-only")
    if cluster.exec(pod, argv, timeout=15).code in NOT_CONNECTED:
        return False
    return not pod.has_sidecar or envoy_admin.not_connected(cluster, pod, there) == before
