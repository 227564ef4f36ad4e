"""Where each configuration of the table lies: its Service, its ports, the workload behind it.

An HTTP Service changes what a sidecar does with all other calls to its port number, and the oldest
Service of a target port names the server's filter chains. So no two configurations share a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab.truth_table.axes import NUMBERS, PAYLOADS
from lab.truth_table.cells import Cell

FIRST_NUMBER = 3400
"""Of Services' ports; four of the numbers that Istio knows are below and above."""
FIRST_TARGET = 21000
"""Of workloads' ports. Both ranges are below those that the kernel hands out (32768), and above
those from which callers call."""
FIRST_AT_GATEWAY = 28000
"""Of gateways' ports."""
SOURCES = range(6000, 21000)
"""From which callers call, each port once: what conntrack remembers of one renames the next."""
DATABASES = "server-databases"
PORTS_OF_WORKLOAD = {"sidecar": "server", "excluded": "server-ports", "plain": "server-plain"}


@dataclass(frozen=True)
class Place:
    """Where the calls of one configuration go."""

    configuration: Cell
    workload: str
    service: str
    """Empty for a port that no Service names."""
    number: int
    """That clients call, by the Service's address."""
    target: int
    """At which the workload listens."""
    at_gateway: int = 0
    """The gateway's port that leads to the Service; 0: there is no gateway."""

    @property
    def in_front(self) -> str:
        """Return the Service of the gateway's port, for callers in the mesh."""
        return f"{self.service}-gateway"

    @property
    def server_first(self) -> bool:
        return self.configuration.sends == "server-first"

    @property
    def udp(self) -> bool:
        return self.configuration.sends == "udp"


def places(cells: Iterable[Cell]) -> dict[Cell, Place]:
    """Return the place of each configuration of some cells."""
    configurations = sorted({cell.configuration for cell in cells})
    return {one: _place(one, number) for number, one in enumerate(configurations)}


def _place(one: Cell, index: int) -> Place:
    target = FIRST_TARGET + index
    workload = _workload(one)
    if one.address == "unregistered":
        return Place(one, workload, "", target, target)
    number = NUMBERS[one.number] or FIRST_NUMBER + index
    # A headless Service's clients connect to the pod itself: nobody translates the port.
    number = target if one.address == "headless" else number
    at_gateway = FIRST_AT_GATEWAY + index if one.gateway_server else 0
    return Place(one, workload, f"t{index}", number, target, at_gateway)


def _workload(one: Cell) -> str:
    if one.sends in {sent.database for sent in PAYLOADS.values()} - {""}:
        return DATABASES
    return "server-ports" if one.port_policy != "none" else PORTS_OF_WORKLOAD[one.server]


def of_policy(places: Iterable[Place], policy: str) -> Iterator[Place]:
    """Yield the places in the namespace of one policy."""
    yield from (one for one in places if one.configuration.policy == policy)
