"""The truth table's mesh as an API server holds it once pods run: no cluster is asked for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from lab.truth_table import objects
from lab.truth_table.asked import Asked
from lab.truth_table.axes import CALLERS, POLICIES, PORT_NAMES
from lab.truth_table.cells import Cell
from lab.truth_table.places import Place, of_policy, places
from lab.workloads.manifests import Setting

Obj = dict[str, Any]
INJECTED = {"security.istio.io/tlsMode": "istio"}
"""The label by which Istio's injector marks pods that speak mutual TLS."""
ISTIO = ("security.istio.io/v1", "networking.istio.io/v1")


@dataclass(frozen=True)
class Pod:
    """One pod of the mesh."""

    name: str
    namespace: str
    address: str
    template: Obj
    """Of its Deployment."""

    @property
    def has_sidecar(self) -> bool:
        return bool(self.template["metadata"]["labels"]["sidecar.istio.io/inject"] == "true")

    @property
    def labels(self) -> dict[str, str]:
        return {**self.template["metadata"]["labels"], **(INJECTED if self.has_sidecar else {})}

    @property
    def annotations(self) -> dict[str, str]:
        return dict(self.template["metadata"].get("annotations") or {})

    @property
    def account(self) -> str:
        return str(self.template["spec"]["serviceAccountName"])


@dataclass
class TableWorld:
    """Pods, Services, endpoints and rules of some cells, with addresses of their own."""

    cells: Sequence[Cell]
    places: dict[Cell, Place] = field(init=False)
    pods: dict[tuple[str, str], Pod] = field(default_factory=dict)
    """By policy and workload."""
    addresses: dict[tuple[str, str], str] = field(default_factory=dict)
    """(policy, Service) -> its ClusterIP."""
    kubernetes: list[Obj] = field(default_factory=list)
    istio: list[Obj] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = places(self.cells)
        numbers, setting = count(1), Setting()
        for policy in POLICIES:
            own = [*of_policy(self.places.values(), policy)]
            self._add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": policy}})
            for obj in objects.workloads(policy, own, setting, policy):
                if obj["kind"] == "Deployment":
                    self._run(policy, obj, f"10.244.0.{next(numbers)}")
                elif obj["apiVersion"] in ISTIO:
                    self._add(obj, policy)
            for obj in objects.services(own, policy):
                self._add(obj, policy)
            for place in own:
                self._serve(policy, place)

    def _add(self, obj: Obj, namespace: str = "") -> None:
        if namespace:
            obj["metadata"]["namespace"] = namespace
        (self.istio if obj["apiVersion"] in ISTIO else self.kubernetes).append(obj)
        if obj["kind"] == "Service":
            self._number(obj, namespace)

    def _number(self, service: Obj, namespace: str) -> None:
        """Give a Service the address that an API server would give it."""
        index = len(self.addresses)
        own = f"10.96.{index // 250}.{index % 250 + 1}"
        address = service["spec"].setdefault("clusterIP", own)
        self.addresses[namespace, service["metadata"]["name"]] = address

    def _run(self, policy: str, deployment: Obj, address: str) -> None:
        name, template = deployment["metadata"]["name"], deployment["spec"]["template"]
        pod = Pod(name, policy, address, template)
        self.pods[policy, name] = pod
        meta = {"name": name, "labels": pod.labels, "annotations": pod.annotations}
        spec = {"serviceAccountName": pod.account, "containers": [{"name": "app"}]}
        ready = {"type": "Ready", "status": "True"}
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        status |= {"conditions": [ready]}
        kind = {"apiVersion": "v1", "kind": "Pod"}
        self._add({**kind, "metadata": meta, "spec": spec, "status": status}, policy)

    def _serve(self, policy: str, place: Place) -> None:
        """Add the endpoints of a place's Service."""
        if not place.service:
            return
        pod = self.pods[policy, place.workload]
        name = PORT_NAMES[place.configuration.port_name].name
        slice_ = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": place.service,
                "labels": {"kubernetes.io/service-name": place.service},
            },
            "addressType": "IPv4",
            "ports": [{"name": name, "port": place.target, "protocol": "TCP"}],
            "endpoints": [
                {
                    "addresses": [pod.address],
                    "conditions": {"ready": True},
                    "targetRef": {"kind": "Pod", "name": pod.name, "namespace": policy},
                }
            ],
        }
        self._add(slice_, policy)

    def asked(self, cell: Cell) -> Asked:
        """Return a cell's call on this mesh."""
        place = self.places[cell.configuration]
        known_only = cell.outbound == "registry-only"
        caller = objects.REGISTRY_ONLY if known_only else CALLERS[cell.caller]
        to = self.pods[cell.policy, place.workload].address, place.target
        if cell.address == "clusterip":
            to = self.addresses[cell.policy, place.service], place.number
        return Asked(cell, caller, place.workload, place.service, *to, place.target)

    def sidecars(self) -> Iterator[Pod]:
        """Yield the pods that have a sidecar."""
        yield from (one for one in self.pods.values() if one.has_sidecar)
