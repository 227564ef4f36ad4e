"""Deploys the mesh that the table is measured on, and waits until its proxies hold all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from clusters import mesh as mesh_settings
from clusters.base import BY_LABEL, FAILURE_LABEL, RUN_LABEL, Cluster, PodRef, me
from lab.common.wait import until
from lab.envoy import dump, upstream
from lab.envoy.dump import Proxy
from lab.planes import config
from lab.record import access_log, crashes, envoy_admin, kube_proxy, world
from lab.record.crashes import Crashes
from lab.record.kube_proxy import ServiceRoute
from lab.record.readiness import ACCEPTED
from lab.record.world import ready, reference
from lab.truth_table import gateways, objects
from lab.truth_table.asked import Asked
from lab.truth_table.axes import CALLERS, MODES, PORT_NAMES
from lab.truth_table.cells import Cell
from lab.truth_table.places import Place, of_policy, places
from lab.truth_table.recorded import NAME
from lab.workloads.manifests import Setting

READY_SECONDS, ACTIVE_SECONDS = 180.0, 60.0


@dataclass
class TableMesh:
    """The pods and Services of a table that is being measured."""

    cluster: Cluster
    run: str
    cells: Sequence[Cell]
    name: str = NAME
    """With the run's name it labels the namespaces."""
    shard: str = ""
    """Which shard of the table these cells are; empty: there is one."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the mesh that it is deployed in (clusters/mesh.py)."""
    places: dict[Cell, Place] = field(init=False)
    pods: dict[tuple[str, str], PodRef] = field(default_factory=dict)
    """(policy, workload) -> its pod."""
    addresses: dict[tuple[str, str], str] = field(default_factory=dict)
    """(policy, Service) -> its ClusterIP."""

    def __post_init__(self) -> None:
        self.places = places(self.cells)

    @property
    def policies(self) -> list[str]:
        return [one for one in MODES if any(cell.policy == one for cell in self.cells)]

    def namespace(self, policy: str) -> str:
        return f"table-{policy}-{self.run[-4:]}" + (f"-{self.shard}" if self.shard else "")

    @property
    def label(self) -> str:
        """Return what its namespaces carry beside their run's name."""
        return f"{self.name}-{self.shard}" if self.shard else self.name

    def asked(self, cell: Cell) -> Asked:
        """Return a cell's call on this mesh."""
        place = self.places[cell.configuration]
        known_only = cell.outbound == "registry-only"
        caller = objects.REGISTRY_ONLY if known_only else CALLERS[cell.caller]
        to = self.pods[cell.policy, place.workload].ip, place.target
        if cell.gateway_server:
            to = self._in_front(cell, place)
        elif cell.address == "clusterip":
            to = self.addresses[cell.policy, place.service], place.number
        through = gateways.NAME if cell.gateway_server else ""
        return Asked(cell, caller, place.workload, place.service, *to, place.target, through)

    def _in_front(self, cell: Cell, place: Place) -> tuple[str, int]:
        """Return the gateway's address: for a caller in the mesh, that of its Service."""
        if cell.caller == "sidecar":
            return self.addresses[cell.policy, place.in_front], place.at_gateway
        return self.pods[cell.policy, gateways.NAME].ip, place.at_gateway

    def deploy(self) -> None:
        """Apply all objects, a namespace for each policy; nothing is waited for.

        Services and rules come before the pods: each proxy then gets the whole of its configuration
        once. Hundreds of Services that come to running proxies, one by one, took them minutes.
        """
        self.settings = mesh_settings.read(self.cluster.kube)
        with ThreadPoolExecutor(len(self.policies)) as pool:
            list(pool.map(self._apply, self.policies))

    def _apply(self, policy: str) -> None:
        name, kube = self.namespace(policy), self.cluster.kube
        labels = {RUN_LABEL: self.run, FAILURE_LABEL: self.label, BY_LABEL: me()}
        labels |= self.settings["injection"]
        meta = {"name": name, "labels": labels}
        kube.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": meta}])
        if not access_log.has_our_fields(self.settings["config"]):
            kube.apply([access_log.envoy_filter()], name)
        own = [*of_policy(self.places.values(), policy)]
        for made in kube.create(objects.services(own, name), name):
            if made["kind"] == "Service":
                self.addresses[policy, made["metadata"]["name"]] = made["spec"]["clusterIP"]
        kube.apply(objects.workloads(policy, own, Setting(), name), name)

    def wait_ready(self) -> None:
        """Wait until every pod is ready. Raises LabError as a world's pods do."""
        ended = Crashes()
        wanted = {
            (policy, str(one["metadata"]["name"]))
            for policy in self.policies
            for one in self._items(policy, "/apis/apps/v1", "deployments")
        }

        def look() -> bool:
            for policy in self.policies:
                pods = self._items(policy, "/api/v1", "pods")
                if crashed := ended.look(pods):
                    raise crashes.error(self.cluster, *crashed)
                for pod in filter(ready, pods):
                    self.pods[policy, pod["metadata"]["labels"]["app"]] = reference(pod)
            return wanted <= self.pods.keys()

        until(
            look,
            "the pods of the truth table",
            timeout=READY_SECONDS,
            every=0.2,
            last_seen=lambda: f"not ready: {sorted(wanted - self.pods.keys())}",
        )

    def wait_held(self) -> None:
        """Wait until proxies and nodes hold all of it.

        Raises TimedOut with the first thing that is missing.
        """
        self._wait_active()
        self._wait_served()

    def remove(self) -> None:
        """Delete all of it; return when its pods are gone. Raises TimedOut."""
        for policy in self.policies:
            # A namespace's controller would come to its Services late, and the next shard has some.
            path = f"/api/v1/namespaces/{self.namespace(policy)}/services"
            self.cluster.kube.request("DELETE", path)
        until(
            lambda: world.freed(self.cluster, self.run, self.label),
            "the pods of this shard of the table to end",
            timeout=READY_SECONDS,
            every=0.2,
        )

    def _items(self, policy: str, api: str, plural: str) -> list[objects.Obj]:
        return self.cluster.kube.items(f"{api}/namespaces/{self.namespace(policy)}/{plural}")

    @property
    def sidecars(self) -> list[tuple[str, str]]:
        """Return the pods that have a sidecar."""
        return [key for key, pod in self.pods.items() if pod.has_sidecar]

    def _wait_active(self) -> None:
        """Wait until each sidecar's own dump shows its part of the table as active."""
        waiting = self.sidecars
        missing: list[str] = []

        def look() -> bool:
            missing[:] = []
            for policy, workload in [*waiting]:
                problem = next(self._missing(policy, workload), "")
                if problem:
                    missing.append(f"{policy}/{workload}: {problem}")
                else:
                    waiting.remove((policy, workload))
            return not waiting

        until(
            look,
            "the table's configuration to be active in all sidecars",
            timeout=ACTIVE_SECONDS,
            every=0.5,
            last_seen=lambda: "; ".join(missing),
        )

    def _wait_served(self) -> None:
        """Wait until the nodes serve each ClusterIP."""

        def wait(policy: str) -> None:
            routes = [
                ServiceRoute(self.pods[policy, CALLERS["none"]], service)
                for (there, service), address in self.addresses.items()
                if there == policy and address != "None"
            ]
            kube_proxy.wait(self.cluster, routes)

        with ThreadPoolExecutor(len(self.policies)) as pool:
            list(pool.map(wait, self.policies))

    def _missing(self, policy: str, workload: str) -> Iterator[str]:
        """Yield what a sidecar does not hold yet."""
        told = envoy_admin.config_dump(self.cluster, self.pods[policy, workload])
        own = [*of_policy(self.places.values(), policy)]
        namespace = self.namespace(policy)
        if workload in objects.SERVERS:
            yield from _not_accepted(told, [one for one in own if one.workload == workload])
        elif workload == gateways.NAME:
            yield from gateways.missing(dump.read(told), own, namespace)
        else:
            yield from self._not_sent(dump.read(told), own)
            yield from gateways.not_in_front(dump.read(told), own, namespace)

    def _not_sent(self, proxy: Proxy, own: Iterable[Place]) -> Iterator[str]:
        for place in own:
            policy, name = place.configuration.policy, place.configuration.port_name
            host = f"{place.service}.{self.namespace(policy)}.svc.cluster.local"
            cluster = f"outbound|{place.number}||{host}"
            if not place.service or place.udp or is_udp(name):
                continue
            if cluster not in proxy.clusters:
                yield f"no cluster for {place.service}:{place.number}"
            elif not upstream.ways(proxy, cluster, ("", 0)):
                yield f"no endpoint of {place.service}:{place.number}"


def is_udp(port_name: str) -> bool:
    """Return whether Istio takes a port for UDP: proxies have no cluster for it."""
    called = PORT_NAMES[port_name]
    return (called.app_protocol or called.name) == "udp"


def _not_accepted(told: config.View, own: Sequence[Place]) -> Iterator[str]:
    view = config.reduce(told, "", [one.target for one in own], ())
    for place in own:
        one = place.configuration
        if not place.service or place.udp or is_udp(one.port_name) or one.server != "sidecar":
            continue
        mode = MODES[one.policy if one.port_policy == "none" else one.port_policy]
        accepted = config.accepts(view, place.target)
        if accepted != ACCEPTED[mode]:
            yield f"accepts {accepted or 'nothing'} at {place.target}, not {ACCEPTED[mode]}"
