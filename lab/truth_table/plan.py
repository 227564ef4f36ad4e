"""Which cells are measured: the core, and what leaves it on one axis at a time.

All values multiplied are millions. The core multiplies what is sent, the port's name, the policy
and the caller. Then each other axis is varied alone, for fewer payloads and names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from lab.truth_table.axes import (
    CALLERS,
    NUMBERS,
    PAYLOADS,
    POLICIES,
    PORT_NAMES,
    PORT_POLICIES,
    RULES,
    UNSET,
)
from lab.truth_table.cells import Cell

FEWER_PAYLOADS = ("http1.0", "http1.1", "h2", "upgrade-tls", "tls", "line", "server-first")
FEWER_NAMES = ("http", "http2", "tcp", "none")
UNDECLARED = ("none", "unknown")
DATABASES_NAMES = ("http", "mongo", "mysql", "redis", "tcp", "tls", "unknown", "none")
"""Names under which databases are called: their own, and those that others leave to them."""
"""Names that leave the protocol to the port's number, or to the first bytes."""


@dataclass(frozen=True)
class Departure:
    """Cells that leave the core on one axis."""

    axis: str
    values: Sequence[str]
    sends: Sequence[str] = FEWER_PAYLOADS
    names: Sequence[str] = FEWER_NAMES
    policies: Sequence[str] = tuple(POLICIES)
    callers: Sequence[str] = tuple(CALLERS)
    also: tuple[tuple[str, str], ...] = ()
    """Values of other axes, where the axis has a meaning only with them."""

    def cells(self) -> Iterator[Cell]:
        each = product(self.values, self.sends, self.names, self.policies, self.callers)
        for value, sends, name, policy, caller in each:
            if self.axis == "port_policy" and value == policy:
                continue  # the same mode twice is the core
            yield Cell(sends, name, policy, caller, **{self.axis: value}, **dict(self.also))


ROUTED = ("http1.1", "h2")
"""What a gateway that reads requests sends on."""
ENDS_AT_GATEWAY = ("http1.0", "upgrade-tls", "line", "server-first")
"""What it answers itself, or waits at, whatever is behind it."""
OUTSIDE = ("none",)
"""The caller outside the mesh."""


def gateways() -> Iterator[Departure]:
    """Yield the cells with a gateway in front of the server.

    Left out as without meaning: other names and policies of the server where a call ends at the
    gateway; TLS inside the TLS that a gateway ends; a caller with a sidecar but for ISTIO_MUTUAL,
    which is what that mode is for.
    """
    readers = ("http", "simple-http", "mutual")
    wrong = ("simple-no-tls", "mutual-no-certificate")
    at_gateway: dict[str, Any] = {"names": ("http",), "policies": ("strict",), "callers": OUTSIDE}
    without_tls = [one for one in FEWER_PAYLOADS if one != "tls"]
    yield Departure("gateway", readers, ROUTED, callers=OUTSIDE)
    yield Departure("gateway", readers, ENDS_AT_GATEWAY, **at_gateway)
    yield Departure("gateway", ("http",), ("tls",), **at_gateway)
    yield Departure("gateway", wrong, without_tls, **at_gateway)
    yield Departure("gateway", ("tcp",), callers=OUTSIDE)
    yield Departure("gateway", ("simple-tcp",), without_tls, callers=OUTSIDE)
    yield Departure("gateway", ("passthrough",), ("tls",), callers=OUTSIDE)
    yield Departure("gateway", ("passthrough",), without_tls, **at_gateway)
    yield Departure("gateway", ("istio-mutual",), callers=("sidecar",))
    yield Departure("gateway", ("istio-mutual",), ("line",), **at_gateway)


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
    *gateways(),
)
"""Left out as without meaning: rules for a caller without a sidecar, which none reads; a declared
name with a well-known number; REGISTRY_ONLY with an address that is registered."""


def core() -> Iterator[Cell]:
    """Yield the cells of the core.

    Databases are called under fewer names. A datagram passes by all sidecars, whatever the policy,
    so it is sent under the strictest only.
    """
    for sends, sent in PAYLOADS.items():
        names = DATABASES_NAMES if sent.database else PORT_NAMES
        policies, callers = (["strict"], ["sidecar"]) if sent.udp else (POLICIES, CALLERS)
        for name, policy, caller in product(names, policies, callers):
            yield Cell(sends, name, policy, caller)


def samples() -> Iterator[Cell]:
    """Yield cells of the core without any policy, which are to be as PERMISSIVE ones."""
    for sends, name, caller in product(FEWER_PAYLOADS, FEWER_NAMES, CALLERS):
        yield Cell(sends, name, UNSET, caller)


def cells() -> list[Cell]:
    """Return every cell of the table, each once."""
    left = (cell for one in DEPARTURES for cell in one.cells())
    return list(dict.fromkeys((*core(), *samples(), *left)))
