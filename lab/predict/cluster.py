"""A mesh read from a running cluster: no call is made, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

from clusters import open_cluster
from clusters.base import Cluster, PodRef
from clusters.kube import Obj
from lab.common.errors import BadArguments, ClusterGone
from lab.envoy import dump, interception, node
from lab.envoy.dump import Proxy
from lab.envoy.mesh import Address, Mesh, Workload
from lab.observe import ends
from lab.predict.question import OUTSIDE, STRANGER, address_in
from lab.record import envoy_admin
from lab.record.world import reference


class Objects(Protocol):
    """Lists a cluster's objects, by the paths of its API."""

    def items(self, path: str) -> list[Obj]: ...


class ApiMesh:
    """The pods and Services of a cluster, by their objects, wherever these are from.

    A proxy's configuration is read when it is needed.
    """

    def __init__(self, objects: Objects, config_dump: Callable[[PodRef], Any]) -> None:
        self.objects, self._config_dump = objects, config_dump

    @cached_property
    def _pods(self) -> list[Obj]:
        return [one for one in self.objects.items("/api/v1/pods") if has_own_address(one)]

    def mesh(self) -> Mesh:
        """Return all pods with an address of their own, and what kube-proxy does for Services."""
        workloads = [self._workload(one) for one in self._pods]
        return Mesh({one.address: one for one in workloads}, self._services())

    def behind(self, namespace: str, name: str) -> set[str]:
        """Return the addresses of a Service's pods, to which a headless one's name is resolved."""
        return {
            address
            for one in self._slices.get((namespace, name), ())
            for end in one.get("endpoints") or ()
            for address in end["addresses"]
        }

    def _workload(self, pod: Obj) -> Workload:
        namespace, name = _names(pod)
        address = str(pod["status"]["podIP"])
        account = pod["spec"].get("serviceAccountName", "default")
        has_proxy = interception.has_sidecar(pod)
        takes = interception.read(pod)

        def read() -> Proxy:
            return dump.read(self._config_dump(reference(pod)))

        return Workload(
            f"{namespace}/{name}",
            address,
            f"spiffe://{node.DOMAIN}/ns/{namespace}/sa/{account}",
            read if has_proxy else None,
            takes if _is_sidecar(pod) else None,
            has_proxy and _is_sidecar(pod),
            interception.uid(pod),
        )

    @cached_property
    def _slices(self) -> dict[tuple[str, str], list[Obj]]:
        """Return EndpointSlices by their Service."""
        found: dict[tuple[str, str], list[Obj]] = {}
        for one in self.objects.items("/apis/discovery.k8s.io/v1/endpointslices"):
            found.setdefault((_names(one)[0], _service_of(one)), []).append(one)
        return found

    def _services(self) -> dict[Address, list[Address]]:
        found: dict[Address, list[Address]] = {}
        for service in self.objects.items("/api/v1/services"):
            address = str(service["spec"].get("clusterIP") or "None")
            if address == "None":
                continue
            own = self._slices.get(_names(service), [])
            for port in service["spec"].get("ports") or ():
                found[address, port["port"]] = _ends(own, str(port.get("name") or ""))
        return found


class Live(ApiMesh):
    """A cluster that runs."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.kube, lambda pod: envoy_admin.config_dump(cluster, pod))
        self._kube = cluster.kube

    @classmethod
    def open(cls, word: str) -> Live:
        """Open the cluster that `--cluster` names. Raises ClusterGone where it does not run."""
        return cls(running(word))

    def caller(self, typed: str) -> Workload:
        """Return the pod that is typed. Raises BadArguments with those that are ready."""
        if typed == OUTSIDE:
            return STRANGER
        found = ends.source(self._kube, typed)
        names = (found.namespace, found.name)
        pod = next((one for one in self._pods if _names(one) == names), None)
        if pod is None:
            raise BadArguments(
                f"pod {found.namespace}/{found.name} uses its node's network: no sidecar "
                "takes its calls"
            )
        return self._workload(pod)

    def addresses(self, host: str, port: int, caller: Workload) -> list[str]:
        """Return a host's addresses: a Service's, or what the caller's proxy knows of it."""
        name, _, rest = host.partition(".")
        own = "" if caller is STRANGER else caller.name.partition("/")[0]
        namespace = rest.partition(".")[0] or own or "default"
        for one in self.objects.items(f"/api/v1/namespaces/{namespace}/services"):
            if one["metadata"]["name"] == name:
                address = str(one["spec"].get("clusterIP") or "")
                if address not in ("", "None"):
                    return [address]
                return sorted(self.behind(namespace, name))
        return address_in(caller, host, port)


def running(word: str) -> Cluster:
    """Return the cluster that `--cluster` names. Raises ClusterGone where it does not run."""
    cluster = open_cluster(word)
    if not cluster.running():
        raise ClusterGone(
            f"no {cluster.kind} cluster is running, so no configuration can be read",
            hint=f"istio-lab up --cluster {word}; or --cluster context:NAME, a cluster of your "
            "kubeconfig; or configurations in files",
        )
    return cluster


def has_own_address(pod: Obj) -> bool:
    """Return whether a pod has an address, and none of its node's or of a pod that came later."""
    status = pod.get("status") or {}
    ended = status.get("phase") in ("Succeeded", "Failed")  # it still tells the one that it had
    return bool(status.get("podIP")) and not ended and not pod["spec"].get("hostNetwork")


def _ends(slices: list[Obj], port: str) -> list[Address]:
    return [
        (str(address), int(one["port"]))
        for slice_ in slices
        for one in slice_.get("ports") or ()
        if str(one.get("name") or "") == port and one.get("port")
        for end in slice_.get("endpoints") or ()
        if (end.get("conditions") or {}).get("ready") is not False
        for address in end["addresses"]
    ]


def _names(one: dict[str, Any]) -> tuple[str, str]:
    return str(one["metadata"]["namespace"]), str(one["metadata"]["name"])


def _service_of(one: Obj) -> str:
    return str((one["metadata"].get("labels") or {}).get("kubernetes.io/service-name", ""))


def _is_sidecar(pod: Obj) -> bool:
    """Return whether a pod's proxy is a sidecar: a gateway's is told to be a router."""
    every = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    proxy: Obj = next((one for one in every if one["name"] == "istio-proxy"), {})
    return "router" not in (proxy.get("args") or ())
