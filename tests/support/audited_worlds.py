"""The worlds of recorded failures as an audit walks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab import failures
from lab.audit import known
from lab.audit.objects import Objects
from lab.audit.ports import Destination
from lab.common.port_protocols import declared
from lab.envoy.mesh import Address, Mesh, Workload
from lab.judge import stored
from lab.judge.case import Case
from lab.model import store
from lab.predict.question import STRANGER


@dataclass(frozen=True)
class RecordedWorld:
    """One world of a failure, with the configurations that its proxies had before any remedy."""

    case: Case
    name: str

    @property
    def _workloads(self) -> dict[str, Workload]:
        world = self.case.evidence.worlds[self.name]
        record = next(
            one for one in self.case.evidence.calls if one.world == self.name and not one.step
        )
        return self.case.files.workloads(world, record, set())

    def mesh(self) -> Mesh:
        there = self._workloads
        return Mesh({one.address: one for one in there.values()}, self._services(there))

    def callers(self) -> Sequence[Workload]:
        return [*(one for one in self._workloads.values() if one.has_sidecar), STRANGER]

    def destinations(self, caller: Workload) -> Sequence[Destination]:
        own = [*self._destinations()]
        return (
            own
            if caller.proxy is None
            else [*own, *known.others(caller.proxy, own), *known.any_other(caller.proxy)]
        )

    def objects(self) -> Objects:
        return Objects()

    def _services(self, there: dict[str, Workload]) -> dict[Address, list[Address]]:
        world, found = self.case.evidence.worlds[self.name], {}
        for service in self.case.failure.world(self.name).services:
            kept, pod = world.services.get(service.name), there.get(service.workload)
            if kept and pod and kept.cluster_ip != "None":
                for number, target in kept.targets.items():
                    found[kept.cluster_ip, int(number)] = [(pod.address, target)]
        return found

    def _destinations(self) -> Iterator[Destination]:
        world, there = self.case.evidence.worlds[self.name], self._workloads
        for service in self.case.failure.world(self.name).services:
            kept, pod = world.services.get(service.name), there.get(service.workload)
            if kept is None or pod is None:
                continue
            headless = kept.cluster_ip == "None"
            for port in service.ports:
                yield Destination(
                    f"{service.name}.{world.namespace}.svc.cluster.local",
                    port.number,
                    declared(port.name, port.app_protocol, port.number),
                    (pod.address if headless else kept.cluster_ip,),
                    port.name,
                    frozenset({pod.address}),
                )


def world(failure: str, name: str) -> RecordedWorld:
    """A world of the recorded evidence of a failure."""
    return RecordedWorld(stored.open_case(failures.load(failure), store.RECORDED), name)
