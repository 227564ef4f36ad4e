"""Finds the pods at the two ends of an edge, by what a person typed."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clusters.base import PodRef
from clusters.kube import Kube, Obj
from lab.common import port_protocols
from lab.common.errors import BadArguments, LabError
from lab.common.suggest import meant
from lab.observe import entries
from lab.record.world import ready, reference

MOST = 8
"""Most pods behind one Service: all are captured, since which one answers is known afterwards."""


@dataclass(frozen=True)
class Target:
    """What a call asks: a port of a Service, or a port of a pod by its address."""

    name: str
    """The Service's, the host of a ServiceEntry, or the address."""
    namespace: str
    address: str
    """ClusterIP, or the address that was typed; empty for a headless Service."""
    port: int
    target: int
    """Where the pods listen."""
    spoken: str
    """What the port is declared to speak; empty: nothing."""
    pods: tuple[PodRef, ...]

    @property
    def host(self) -> str:
        """The host as a caller in any namespace types it."""
        whole = self.name == self.address or "." in self.name
        return self.name if whole else f"{self.name}.{self.namespace}"


def source(kube: Kube, typed: str) -> PodRef:
    """Find the ready pod that `POD`, `NAMESPACE/POD` or the name of a Deployment of one pod means.

    Raises BadArguments, which lists the ready pods.
    """
    namespace, slash, name = typed.rpartition("/")
    path = f"/api/v1/namespaces/{namespace}/pods" if slash else "/api/v1/pods"
    pods = [pod for pod in kube.items(path) if ready(pod)]
    names = [_full_name(pod) for pod in pods]
    exact = [pod for pod in pods if pod["metadata"]["name"] == name]
    found = exact or [pod for pod in pods if pod["metadata"]["name"].startswith(f"{name}-")]
    if not found:
        near = meant(f"{namespace}/{name}", names)
        raise BadArguments(f"no ready pod {typed!r}: {near}ready are {_listed(names)}")
    if len(found) > 1:
        listed = _listed([_full_name(pod) for pod in found])
        raise BadArguments(f"{typed!r} could mean any of {listed}")
    return reference(found[0])


def without_sidecar(kube: Kube, namespace: str) -> PodRef:
    """Find a ready pod of a namespace that has no sidecar, and an address of its own.

    Raises BadArguments where there is none.
    """
    for pod in kube.items(f"/api/v1/namespaces/{namespace}/pods"):
        if ready(pod) and not pod["spec"].get("hostNetwork") and not reference(pod).has_sidecar:
            return reference(pod)
    raise BadArguments(f"no ready pod in {namespace} is without a sidecar")


def target(kube: Kube, typed: str, namespace: str) -> Target:
    """Find what `SERVICE:PORT`, `SERVICE.NAMESPACE:PORT`, `POD_IP:PORT` or a host's port means.

    The host is one that a ServiceEntry adds to the mesh.

    namespace: the caller's. Raises BadArguments for what does not exist, and for more pods than
    can be captured at once.
    """
    host, colon, number = typed.rpartition(":")
    if not colon or not number.isdecimal():
        raise BadArguments(f"--to {typed!r} is not SERVICE:PORT, SERVICE.NAMESPACE:PORT or IP:PORT")
    if _is_address(host):
        return _pod_at(kube, host, int(number))
    if entry := entries.find(kube, host, int(number)):
        at = (host, entry.namespace, entry.address, int(number), entry.target, entry.spoken)
        return Target(*at, tuple(map(reference, _few(entry.pods, host, entry.target))))
    name, _, rest = host.partition(".")
    return _service(kube, name, rest.partition(".")[0] or namespace, int(number))


def _service(kube: Kube, name: str, namespace: str, number: int) -> Target:
    services = kube.items(f"/api/v1/namespaces/{namespace}/services")
    names = [str(one["metadata"]["name"]) for one in services]
    if name not in names:
        near = meant(name, names)
        raise BadArguments(f"no Service {name!r} in {namespace}: {near}there is {_listed(names)}")
    spec = services[names.index(name)]["spec"]
    if spec.get("type") == "ExternalName":
        raise BadArguments(
            f"Service {name} in {namespace} is another name of {spec['externalName']}, and has no "
            "pods of its own",
            hint=f"--to {spec['externalName']}:{number}, if it is a Service of this cluster",
        )
    port = next((one for one in spec.get("ports") or () if one["port"] == number), None)
    if port is None:
        there = _listed([str(one["port"]) for one in spec.get("ports") or ()])
        raise BadArguments(f"Service {name} has no port {number}: it has {there}")
    pods = _behind(kube, namespace, name, spec)
    if not pods:
        raise BadArguments(f"Service {name} in {namespace} has no ready pod")
    _few(pods, f"Service {name}", _number(port, pods[0]))
    address = "" if spec.get("clusterIP") == "None" else str(spec.get("clusterIP"))
    spoken = port_protocols.of_port(port)
    ends = tuple(reference(pod) for pod in pods)
    return Target(name, namespace, address, number, _number(port, pods[0]), spoken, ends)


def _few(pods: list[Obj], name: str, port: int) -> list[Obj]:
    """Return the pods. Raises BadArguments for more than can be captured at once."""
    if len(pods) > MOST:
        raise BadArguments(
            f"{name} has {len(pods)} pods; at most {MOST} can be captured",
            hint=f"--to {pods[0]['status']['podIP']}:{port} is one of them",
        )
    return pods


def _behind(kube: Kube, namespace: str, name: str, spec: Obj) -> list[Obj]:
    selector = ",".join(f"{key}={value}" for key, value in (spec.get("selector") or {}).items())
    if not selector:
        return _listed_behind(kube, namespace, name)
    path = f"/api/v1/namespaces/{namespace}/pods"
    return [pod for pod in kube.items(path, {"labelSelector": selector}) if ready(pod)]


def _listed_behind(kube: Kube, namespace: str, name: str) -> list[Obj]:
    """Return the pods whose addresses somebody listed for a Service without a selector.

    Raises BadArguments where none of its addresses is a pod's.
    """
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    wanted = {"labelSelector": f"kubernetes.io/service-name={name}"}
    ends = [end for one in kube.items(path, wanted) for end in one.get("endpoints") or ()]
    addresses = {str(address) for end in ends for address in end["addresses"]}
    pods = [pod for pod in kube.items("/api/v1/pods") if ready(pod)]
    found = [pod for pod in pods if pod["status"].get("podIP") in addresses]
    if not found:
        there = ", ".join(sorted(addresses)) or "no address"
        raise BadArguments(
            f"Service {name} in {namespace} has no selector and leads to {there}, which is no pod "
            "of this cluster"
        )
    return found


def _number(port: Obj, pod: Obj) -> int:
    """Return a target port's number; a named port is looked up in the pod."""
    wanted = port.get("targetPort", port["port"])
    if isinstance(wanted, int):
        return wanted
    listed = (one for c in pod["spec"]["containers"] for one in c.get("ports", []))
    found = next((one["containerPort"] for one in listed if one.get("name") == wanted), None)
    if found is None:
        raise LabError(f"no container of pod {pod['metadata']['name']} has a port named {wanted}")
    return int(found)


def _pod_at(kube: Kube, address: str, port: int) -> Target:
    pods = [pod for pod in kube.items("/api/v1/pods") if ready(pod)]
    found = [pod for pod in pods if pod["status"].get("podIP") == address]
    if len(found) != 1:  # pods on a node's own network share one address
        raise BadArguments(f"{len(found)} ready pods have the address {address}")
    pod = reference(found[0])
    return Target(address, pod.namespace, address, port, port, "", (pod,))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _full_name(pod: dict[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(sorted(names)[:most]) or "none") + more
