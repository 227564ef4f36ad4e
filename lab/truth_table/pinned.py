"""Which cells a run of all failures measures, and what is pinned of them.

About 200 of the 3,019 cells, chosen from the recorded table by one rule, so that whatever changes
in it has a cell that tells. Of cells that tell the same, the one is taken that needs the fewest
pods and Services more than those before it:

1. each cell that decides a claim, and each port name that the table's page recommends;
2. of the core, each different answer to each payload, under each policy, to each caller: the names
   between which the answer changes;
3. each surprise, with each payload that it happens to;
4. each port name;
5. each value of each other axis: once where the call arrives, once where a proxy answers it, and
   once where nobody does.

Gateways, databases and a namespace without a policy are left out: they need pods of their own.
So is what is sent by UDP, which no proxy sees, and what a proxy does not always treat alike.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.common import untrusted
from lab.common.errors import BadEvidence
from lab.model import store
from lab.model.pins import Stack
from lab.truth_table import claims, page, plan, results, surprises, text
from lab.truth_table.axes import PAYLOADS, UNSET
from lab.truth_table.cells import DEFAULTS, Cell
from lab.truth_table.places import PORTS_OF_WORKLOAD
from lab.truth_table.text import Stored

RECORDED = store.RECORDED / "truth_table"
MEASURED = RECORDED / "measured.json"
"""When the recorded table was measured, and on which stacks its answers were seen."""


def cells(rows: Mapping[str, Stored] | None = None) -> list[Cell]:
    """Return the cells that are measured, of a table with these rows; default: the recorded one."""
    rows = results.load(RECORDED) if rows is None else rows
    every = {cell.key: cell for cell in plan.cells()}
    chosen = _Chosen()
    for key in (*claims.deciding(), *_recommended()):
        if not _apart(every[key]):
            chosen.take(every[key])
    for group in _groups(rows, every.values()):
        chosen.cover(group)
    return [*chosen.cells]


def pods() -> int:
    """Return how many pods they need."""
    chosen = cells()
    callers = {(cell.policy, cell.caller) for cell in chosen}
    return len(callers | {pod for cell in chosen for pod in _pods(cell)})


def _recommended() -> Iterator[str]:
    yield from claims.between_sidecars(*("/".join(pair) for pair in page.SPOKEN.values()))


def _groups(rows: Mapping[str, Stored], every: Iterable[Cell]) -> Iterator[list[Cell]]:
    """Yield cells that tell the same, by each step of the rule but the first."""
    told = [cell for cell in every if cell.key in rows and not _apart(cell)]
    core = [cell for cell in told if not cell.leaves]
    yield from _grouped(
        core, lambda one: (one.sends, one.policy, one.caller, text.short(rows[one.key]))
    )
    for surprise in surprises.SURPRISES:
        surprising = [cell for cell in told if surprise.holds(rows[cell.key])]
        yield from _grouped(surprising, lambda one: one.sends)
    yield from _grouped(core, lambda one: one.port_name)
    for axis in DEFAULTS:
        yield from _leaving(axis, rows, told)


def _apart(cell: Cell) -> bool:
    """Return whether a cell needs pods of its own, or is answered by chance, or by no proxy."""
    sent = PAYLOADS[cell.sends]
    own_pods = cell.gateway_server is not None or cell.policy == UNSET or bool(sent.database)
    return own_pods or sent.udp or sent.flaky


def _leaving(axis: str, rows: Mapping[str, Stored], told: Iterable[Cell]) -> Iterable[list[Cell]]:
    leaving = [cell for cell in told if getattr(cell, axis) != DEFAULTS[axis]]
    return _grouped(leaving, lambda one: (getattr(one, axis), _answered(rows[one.key])))


def _answered(row: Stored) -> str:
    return row["outcome"] if row["outcome"] in ("arrives", "answered by a proxy") else "by nobody"


def _grouped(every: Iterable[Cell], by: Callable[[Cell], Hashable]) -> Iterable[list[Cell]]:
    found: dict[Hashable, list[Cell]] = {}
    for cell in every:
        found.setdefault(by(cell), []).append(cell)
    return found.values()


@dataclass
class _Chosen:
    """The cells that are chosen so far, with the pods and the Services that they need."""

    cells: dict[Cell, None] = field(default_factory=dict)
    _needed: set[Hashable] = field(default_factory=set)

    def cover(self, group: list[Cell]) -> None:
        """Take one of a group, unless there is one already."""
        if not any(cell in self.cells for cell in group):
            self.take(min(group, key=self._cost))

    def take(self, cell: Cell) -> None:
        if cell not in self.cells:
            self.cells[cell] = None
            self._needed.update((*_pods(cell), cell.configuration))

    def _cost(self, cell: Cell) -> tuple[int, bool]:
        return len({*_pods(cell)} - self._needed), cell.configuration not in self._needed


def _pods(cell: Cell) -> Iterator[tuple[str, str]]:
    """Yield the pods that a cell needs beside the callers of its namespace."""
    ports = cell.port_policy != "none"
    yield cell.policy, "server-ports" if ports else PORTS_OF_WORKLOAD[cell.server]
    if cell.address == "unregistered":
        yield cell.policy, "registry"


@dataclass(frozen=True)
class Measured:
    """Where the recorded table comes from, and where its answers hold."""

    run: str
    recorded_at: str
    cluster: str
    stack: Mapping[str, str]
    stacks: tuple[Stack, ...]

    def covers(self, stack: Mapping[str, Any], cluster: str) -> bool:
        """Return whether it was measured on a stack of that kind of cluster."""
        istio, envoy = (str(stack.get(name, "")) for name in ("istio", "envoy"))
        return any(one.holds(istio, envoy, cluster) for one in self.stacks)


def measured() -> Measured:
    """Read where the recorded table was measured. Raises BadEvidence where that is damaged."""
    told = untrusted.read_json(MEASURED, RECORDED)
    try:
        stacks = (Stack(one["cluster"], one["istio"], (*one["envoy"],)) for one in told["stacks"])
        return Measured(**{**told, "stacks": tuple(stacks)})
    except (KeyError, TypeError) as wrong:
        raise BadEvidence(f"{MEASURED.name} is damaged: {wrong!r}") from None


def knows(cluster: str) -> bool:
    """Return whether the table was ever measured on that kind of cluster."""
    return any(stack.cluster == cluster for stack in measured().stacks)
