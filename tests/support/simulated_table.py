"""The truth table's calls, walked through the configuration that istiod's code generates for it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import simulation
from hops import Hop, hops
from table_world import Pod, TableWorld

from lab.envoy import dump, node, walk
from lab.envoy.mesh import Address, Mesh, Workload
from lab.truth_table import predictions
from lab.truth_table.asked import Asked
from lab.truth_table.axes import FOREIGN_AUTHORITIES
from lab.truth_table.cells import Cell
from lab.truth_table.predictions import Foretold


class SimulatedTable:
    """A table's mesh with generated configuration; nothing runs."""

    def __init__(self, cells: Sequence[Cell], folder: Path) -> None:
        self.world = TableWorld(cells)
        _, self.dumps = simulation.ask(self.world, folder)

    def with_dumps(self, change: Callable[[str], str]) -> SimulatedTable:
        """Return the same table with another configuration: the text of each dump is changed."""
        other = copy.copy(self)
        other.dumps = json.loads(change(json.dumps(self.dumps)))
        for name in ("mesh", "foretold", "hops"):
            other.__dict__.pop(name, None)
        return other

    @cached_property
    def mesh(self) -> Mesh:
        """Return the pods with their proxies, and what kube-proxy does for Services."""
        pods = [_workload(one, self.dumps) for one in self.world.pods.values()]
        services: dict[Address, list[Address]] = {}
        for asked in map(self.world.asked, self.world.cells):
            if asked.cell.address == "clusterip":
                pod = self.world.pods[asked.cell.policy, asked.server]
                services[asked.address, asked.port] = [(pod.address, asked.target)]
        return Mesh({one.address: one for one in pods}, services, FOREIGN_AUTHORITIES)

    def _caller(self, asked: Asked) -> str:
        return self.world.pods[asked.cell.policy, asked.caller].address

    @cached_property
    def foretold(self) -> dict[str, list[Foretold]]:
        """Return what the model says of each cell."""
        calls = [(asked, self._caller(asked)) for asked in map(self.world.asked, self.world.cells)]
        return predictions.foretell(self.mesh, calls)

    @cached_property
    def hops(self) -> list[Hop]:
        """Return what each proxy on each call's way decides."""
        return [hop for cell in self.world.cells for hop in self._hops(self.world.asked(cell))]

    def _hops(self, asked: Asked) -> list[Hop]:
        caller = self.mesh.workloads[self._caller(asked)]
        flow = predictions.flow(asked)
        (way,) = walk.ways(self.mesh, caller, flow)
        return [*hops(self.mesh, asked.cell.key, caller, flow, way)]


def _workload(pod: Pod, dumps: dict[str, Any]) -> Workload:
    if not pod.has_sidecar:
        return Workload(f"{pod.namespace}/{pod.name}", pod.address)
    content = dumps[simulation.key(pod)]
    return node.workload(content, dump.read(content))
