"""A cell's call as it is made on a certain mesh: by whom, to which address, in which name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lab.truth_table.cells import Cell


def public_name(service: str) -> str:
    """Return the name by which clients outside the mesh know a Service (RFC 2606)."""
    return f"{service}.lab.example"


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
    gateway: str = ""
    """The workload that the client connects to in the server's place; empty: there is none."""

    @property
    def within(self) -> str:
        """Return the TLS of its own that a client outside the mesh puts around what it sends."""
        server = self.cell.gateway_server
        return server.within if server and self.cell.caller == "none" else ""

    @property
    def _name(self) -> str:
        if self.gateway:
            return public_name(self.service)
        return self.service if self.cell.address in ("clusterip", "headless") else ""

    @property
    def host(self) -> str:
        """Return what the client writes as Host: a Service's name, or an address, and the port."""
        return f"{self._name or self.address}:{self.port}"

    @property
    def server_name(self) -> str:
        """Return what a TLS client sends as SNI: nothing where an address was typed."""
        return self._name


def as_json(asked: Asked) -> dict[str, Any]:
    """Return a call for a file."""
    return asdict(asked)


def from_json(stored: dict[str, Any]) -> Asked:
    """Return what `as_json` wrote."""
    return Asked(**{**stored, "cell": Cell(**stored["cell"])})
