"""Which cells are measured: the core, and what leaves it on one axis at a time.

All values multiplied are millions. The core multiplies what is sent, the port's name, the policy
and the caller. Then each other axis is varied alone, for fewer payloads and names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from lab.truth_table.axes import (
    CALLERS,
    NUMBERS,
    PAYLOADS,
    POLICIES,
    PORT_NAMES,
    PORT_POLICIES,
    RULES,
)
from lab.truth_table.cells import Cell

FEWER_PAYLOADS = ("http1.0", "http1.1", "h2", "upgrade-tls", "tls", "line", "server-first")
FEWER_NAMES = ("http", "http2", "tcp", "none")
UNDECLARED = ("none", "unknown")
"""Names that leave the protocol to the port's number, or to the first bytes."""


@dataclass(frozen=True)
class Departure:
    """Cells that leave the core on one axis."""

    axis: str
    values: Sequence[str]
    names: Sequence[str] = FEWER_NAMES
    policies: Sequence[str] = tuple(POLICIES)
    callers: Sequence[str] = tuple(CALLERS)
    also: tuple[tuple[str, str], ...] = ()
    """Values of other axes, where the axis has a meaning only with them."""

    def cells(self) -> Iterator[Cell]:
        each = product(self.values, FEWER_PAYLOADS, self.names, self.policies, self.callers)
        for value, sends, name, policy, caller in each:
            if self.axis == "port_policy" and value == policy:
                continue  # the same mode twice is the core
            yield Cell(sends, name, policy, caller, **{self.axis: value}, **dict(self.also))


DEPARTURES = (
    Departure("rule", [name for name in RULES if name != "none"], callers=("sidecar",)),
    Departure("address", ("headless", "pod")),
    Departure("address", ("unregistered",), names=("none",)),
    Departure("port_policy", [name for name in PORT_POLICIES if name != "none"]),
    Departure("server", ("plain",), policies=("strict", "permissive")),
    Departure("server", ("excluded",)),
    Departure("number", [name for name in NUMBERS if name != "ordinary"], names=UNDECLARED),
    Departure(
        "outbound",
        ("registry-only",),
        names=("none",),
        callers=("sidecar",),
        also=(("address", "unregistered"),),
    ),
)
"""Left out as without meaning: rules for a caller without a sidecar, which none reads; a declared
name with a well-known number; REGISTRY_ONLY with an address that is registered."""


def core() -> Iterator[Cell]:
    """Yield the cells of the core."""
    for sends, name, policy, caller in product(PAYLOADS, PORT_NAMES, POLICIES, CALLERS):
        yield Cell(sends, name, policy, caller)


def cells() -> list[Cell]:
    """Return every cell of the table, each once."""
    every: Iterable[Cell] = (*core(), *(cell for one in DEPARTURES for cell in one.cells()))
    return list(dict.fromkeys(every))
