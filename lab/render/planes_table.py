"""Every edge as every plane has it: in each world, and before and with each remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lab.judge.case import Case
from lab.judge.disagreements import find_disagreements
from lab.judge.edge import Edge, observe_edge
from lab.judge.observation import FINAL_HOP, Observation
from lab.judge.planes import column_answers, column_titles
from lab.model.failure import Failure
from lab.render.display import Table
from lab.render.wording import SHOWS, crossed, policies

STEPS = {"broken": "as it is", "changed": "with it"}
"""Of a remedy: what is shown of it. Taken back it is as before, or its verdict says otherwise."""


@dataclass(frozen=True)
class Row:
    """One edge, or several that are alike in everything that is shown."""

    heading: str
    """The world, or the remedy that is tried."""
    policy: str
    source: str
    target: str
    """Whom it went to, and at which port."""
    step: str
    """Of a remedy: `as it is` or `with it`."""
    outcome: str
    security: str
    """All together: lab.planes.Security."""
    told: str
    """The same in words."""
    answers: tuple[str, ...]
    """What stands in each plane's column: a Security, or what Kiali would draw."""
    why: str
    """Why there is no lock, and what is at odds; nothing where all is well."""
    calls: str


def rows(case: Case) -> list[Row]:
    """Return all edges between pods that were seen, alike ones together."""
    found: dict[Row, list[str]] = {}
    for name in _names(case.failure):
        if seen := case.see(name):
            found.setdefault(_row(case, name, seen), []).append(name)
    return [replace(row, calls=", ".join(names)) for row, names in found.items()]


def _names(failure: Failure) -> Iterator[str]:
    """Yield the failure's own calls, then those of its remedies, each hop by itself."""
    tried = [remedy.call_of(step) for remedy in failure.remedies for step in ("broken", "changed")]
    for call in (*failure.calls, *tried):
        if call.source != "api":
            yield call.name
            if call.through:
                yield call.name + FINAL_HOP


def _row(case: Case, name: str, seen: Observation) -> Row:
    edge = observe_edge(case, seen)
    remedy, _, step = name.removesuffix(FINAL_HOP).partition(":")
    heading, policy = _heading(case, seen, remedy if step else "")
    record = seen.record
    return Row(
        heading,
        policy,
        seen.call.source,
        f"{seen.call.to}:{seen.call.port}",
        STEPS.get(step, ""),
        "lost" if record.lost else f"{record.outcome} {record.status or ''}".strip(),
        seen.security,
        crossed(seen),
        column_answers(case, seen),
        _why(edge),
        "",
    )


def _heading(case: Case, seen: Observation, remedy: str) -> tuple[str, str]:
    if remedy:
        return f"Remedy: {next(r.says for r in case.failure.remedies if r.name == remedy)}", ""
    world = case.evidence.worlds[seen.record.world]
    declared = case.failure.world(world.name)
    told = policies(declared, world)
    # An edge that was asked for by `observe` is of no failure's world.
    return declared.about, told if case.failure.claims else f"asked in {world.namespace}"


def _why(edge: Edge) -> str:
    odd = [f"{one.name}: {one.told}" for one in find_disagreements(edge)]
    if not odd and edge.seen.security != "mutual_tls":
        odd = [edge.seen.wire.why]
    read = edge.seen.marker_count
    return "; ".join([*odd, *([f"the marker was read {read}x"] if read else [])])


def table(found: list[Row]) -> Table:
    """Return the same in words."""
    header = ("edge", "result", "together", *column_titles(), "why no lock, and what is at odds")
    return Table(
        "",
        header,
        tuple(
            (
                f"{row.heading}{f', {row.step}' if row.step else ''}: "
                f"{row.source} to {row.target} ({row.calls})",
                row.outcome,
                row.told,
                *(SHOWS.get(answer, answer) for answer in row.answers),
                row.why or "-",
            )
            for row in found
        ),
    )
