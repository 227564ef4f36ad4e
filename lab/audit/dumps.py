"""A mesh out of config dumps in files: no cluster is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from lab.audit import known
from lab.audit.objects import Objects
from lab.audit.ports import Destination
from lab.envoy.mesh import Mesh, Workload
from lab.predict.files import Dumps
from lab.predict.question import STRANGER


class DumpedInventory:
    """The proxies whose dumps are there. What none of them knows is not there."""

    def __init__(self, contents: Mapping[str, Any]) -> None:
        self._mesh = Dumps(contents).mesh()

    def mesh(self) -> Mesh:
        """Return the pods that the dumps are of, and the Services that they know."""
        return self._mesh

    def callers(self) -> Sequence[Workload]:
        """Return each pod with a sidecar, and a client outside the mesh."""
        return [*(one for one in self._mesh.workloads.values() if one.has_sidecar), STRANGER]

    def destinations(self, caller: Workload) -> Sequence[Destination]:
        """Return what the caller's proxy knows; of a client outside, what any proxy does."""
        if caller.proxy is not None:
            return [*known.others(caller.proxy, ()), *known.any_other(caller.proxy)]
        return self._everything

    def objects(self) -> Objects:
        """Return none: a proxy's configuration does not say which policies it came from."""
        return Objects()

    @cached_property
    def _everything(self) -> list[Destination]:
        found: dict[tuple[str, int], Destination] = {}
        for one in self._mesh.workloads.values():
            if one.read_proxy:
                for to in known.others(one.read_proxy(), ()):
                    found.setdefault((to.host, to.port), to)
        return [*found.values()]
