"""A cell's call as it is made on a certain mesh: by whom, to which address, in which name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lab.truth_table.cells import Cell


@dataclass(frozen=True)
class Asked:
    """One call."""

    cell: Cell
    caller: str
    """The workload that calls, in the namespace of the cell's policy."""
    server: str
    """The workload that the call is meant for."""
    service: str
    """Empty for a port that no Service names."""
    address: str
    port: int
    """That the client connects to."""
    target: int
    """At which the server listens."""

    @property
    def _named(self) -> bool:
        return self.cell.address in ("clusterip", "headless")

    @property
    def host(self) -> str:
        """Return what the client writes as Host: a Service's name, or an address, and the port."""
        return f"{self.service if self._named else self.address}:{self.port}"

    @property
    def server_name(self) -> str:
        """Return what a TLS client sends as SNI: nothing where an address was typed."""
        return self.service if self._named else ""


def as_json(asked: Asked) -> dict[str, Any]:
    """Return a call for a file."""
    return asdict(asked)


def from_json(stored: dict[str, Any]) -> Asked:
    """Return what `as_json` wrote."""
    return Asked(**{**stored, "cell": Cell(**stored["cell"])})
