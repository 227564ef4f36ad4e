"""Registers the planes: each stands here once, and all tables, figures and verdicts loop over it.

To add a plane, add a `Plane` to PLANES. `read` may use whatever the case has recorded of the hop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from lab.judge import telemetry
from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.planes import Seen, config, graph, log, wire
from lab.planes.kiali import GENERATIONS, Generation


@dataclass(frozen=True)
class Plane:
    """One way of knowing how a hop was secured, and how it is shown."""

    name: str
    source: str
    """Whose word it is, as its `Seen.source` says: sources are counted, not planes."""
    read: Callable[[Case, Observation], Seen]
    """What it says of an observed hop."""
    place: Callable[[Observation, Seen], str]
    """File and place where its answer can be read again; empty where there is none."""
    column: str = ""
    """Title in the table and figure of all edges; the name where it is empty."""
    witness: str = ""
    """Title in the table of a call's witnesses; the name where it is empty."""
    short: str = ""
    """Title in a narrow column of its source; the source where it is empty."""
    derived: bool = False
    """Whether it is worked out from other planes' records: then it is no witness."""
    shows: Callable[[Seen], str] = lambda said: said.security
    """What stands in its column: a Security, or what Kiali would draw."""

    @property
    def column_title(self) -> str:
        """The title in the table and figure of all edges."""
        return self.column or self.name

    @property
    def witness_title(self) -> str:
        """The title in the table of a call's witnesses."""
        return self.witness or self.name


def witnesses() -> tuple[Plane, ...]:
    """Return the planes that are no derived ones, the wire first."""
    return tuple(plane for plane in PLANES if not plane.derived)


def read_witnesses(case: Case, seen: Observation) -> tuple[Seen, ...]:
    """Return what every witness says of a hop, the wire first."""
    return tuple(plane.read(case, seen) for plane in witnesses())


def column_titles() -> tuple[str, ...]:
    """Return the title of every plane's column, derived ones last."""
    return tuple(plane.column_title for plane in PLANES)


def column_answers(case: Case, seen: Observation) -> tuple[str, ...]:
    """Return what stands in every plane's column for a hop."""
    return tuple(plane.shows(plane.read(case, seen)) for plane in PLANES)


def short_titles() -> dict[str, str]:
    """Return source -> title of a narrow column, for each source that has one."""
    return {plane.source: plane.short for plane in PLANES if plane.short}


def _packets(seen: Observation, _said: Seen) -> str:
    packets = seen.wire.packets
    return f"captures/{packets.file} frame {packets.frame}" if packets.found else ""


def _line_of(pod: Callable[[Observation], str]) -> Callable[[Observation, Seen], str]:
    def place(seen: Observation, said: Seen) -> str:
        if not said.facts:
            return ""
        return f"logs/{seen.record.world}-{pod(seen)}.jsonl line {said.facts.get('line')}"

    return place


def _counters(seen: Observation, said: Seen) -> str:
    pod = seen.call.source if said.source == log.CLIENT else seen.call.to
    return f"evidence.json call {seen.record.name}, counters of {pod}" if said.facts else ""


def _listener(_seen: Observation, said: Seen) -> str:
    if not said.facts:
        return ""
    listener = said.facts.get("listener") or "none"
    return f"config/{said.facts.get('file')} listener {listener}"


def _kiali(generation: Generation) -> Plane:
    return Plane(
        name=generation.name,
        source=graph.SOURCE,
        read=partial(telemetry.graph_of_generation, generation),
        place=lambda _seen, _said: "a model of its rules",
        derived=True,
        shows=lambda said: str(said.facts["drawn"]),
    )


PLANES: Sequence[Plane] = (
    Plane(
        name="packets",
        source=wire.SOURCE,
        read=lambda _case, seen: seen.wire,
        place=_packets,
        short="packets",
    ),
    Plane(
        name="server's proxy",
        source=log.SERVER,
        read=lambda _case, seen: seen.server,
        place=_line_of(lambda seen: seen.call.to),
        column="server's log",
        short="server",
    ),
    Plane(
        name="counters",
        source=log.SERVER,
        read=lambda _case, seen: seen.counted,
        place=_counters,
        witness="what it counted",
    ),
    Plane(
        name="client's proxy",
        source=log.CLIENT,
        read=lambda _case, seen: seen.client,
        place=_line_of(lambda seen: seen.call.source),
        column="client's log",
        short="client",
    ),
    Plane(
        name="control plane",
        source=config.SOURCE,
        read=lambda _case, seen: seen.config,
        place=_listener,
        short="control",
    ),
    *(_kiali(generation) for generation in GENERATIONS),
)
"""The wire first, since the others are held against it; derived planes last."""
