"""A cluster's mesh by its objects, as an audit walks it. Nothing is called or written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from clusters.kube import Obj
from lab.audit import known, objects, probes, seen
from lab.audit.objects import Objects
from lab.audit.ports import Destination
from lab.common.port_protocols import of_port
from lab.envoy.mesh import Mesh, Workload
from lab.predict.cluster import ApiMesh, has_own_address
from lab.predict.question import STRANGER


class ApiInventory:
    """The workloads and Services of some namespaces of a cluster; without names, of all."""

    def __init__(self, source: ApiMesh, namespaces: Sequence[str] = ()) -> None:
        self._source = source
        self._namespaces = frozenset(namespaces)

    @cached_property
    def _mesh(self) -> Mesh:
        return self._source.mesh()

    def mesh(self) -> Mesh:
        """Return all pods and Services: what is called may lie in any namespace."""
        return self._mesh

    def callers(self) -> Sequence[Workload]:
        """Return a pod of each workload with a sidecar, a client outside the mesh, a kubelet."""
        found: dict[str, Workload] = {}
        for one in self._mesh.workloads.values():
            namespace = one.name.partition("/")[0]
            if one.has_sidecar and self._is_looked_at(namespace):
                found.setdefault(seen.workload(one.name), one)
        return [*found.values(), STRANGER, probes.KUBELET]

    def destinations(self, caller: Workload) -> Sequence[Destination]:
        """Return the ports of all Services, and what else the caller's proxy knows.

        Of a client outside the mesh: the Services of the namespaces that are looked at; of a
        kubelet: the probes of their pods.
        """
        if caller == probes.KUBELET:
            return self._probes
        own = [one for one in self._services if caller != STRANGER or self._looked_at(one)]
        return (
            own
            if caller.proxy is None
            else [*own, *known.others(caller.proxy, own), *known.any_other(caller.proxy)]
        )

    def objects(self) -> Objects:
        """Return the objects that policies are read from, of all namespaces."""
        return objects.read(self._source.objects)

    def _looked_at(self, to: Destination) -> bool:
        return self._is_looked_at(to.host.split(".")[1])

    def _is_looked_at(self, namespace: str) -> bool:
        return not self._namespaces or namespace in self._namespaces

    @cached_property
    def _probes(self) -> list[Destination]:
        pods = [
            one
            for one in self._source.objects.items("/api/v1/pods")
            if has_own_address(one) and self._is_looked_at(one["metadata"]["namespace"])
        ]
        return [*dict.fromkeys(probes.of(pods))]

    @cached_property
    def _services(self) -> list[Destination]:
        return [
            one
            for service in self._source.objects.items("/api/v1/services")
            for one in self._of_service(service)
        ]

    def _of_service(self, service: Obj) -> Iterator[Destination]:
        meta, spec = service["metadata"], service["spec"]
        host = f"{meta['name']}.{meta['namespace']}.svc.cluster.local"
        address = str(spec.get("clusterIP") or "")
        if spec.get("type") == "ExternalName" or not address:
            return
        exported = _exported_to(meta)
        behind = frozenset(self._source.behind(meta["namespace"], meta["name"]))
        for port in spec.get("ports") or ():
            if port.get("protocol", "TCP") != "TCP":
                continue
            name = str(port.get("name") or "")
            number, protocol = int(port["port"]), of_port(port)
            addresses = tuple(sorted(behind)) if address == "None" else (address,)
            yield Destination(host, number, protocol, addresses, name, behind, exported_to=exported)


def _exported_to(meta: Obj) -> frozenset[str]:
    """Return the namespaces that a Service is exported to; empty: all.

    https://istio.io/latest/docs/reference/config/annotations/#NetworkingExportTo
    """
    told = str((meta.get("annotations") or {}).get("networking.istio.io/exportTo", "*"))
    names = {one.strip() for one in told.split(",")}
    if "*" in names:
        return frozenset()
    return frozenset(meta["namespace"] if one == "." else one for one in names)
