"""Calls as the page shows them: the transcript, and what every witness says of each hop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.judge.observation import FINAL_HOP, Observation
from lab.judge.planes import read_witnesses
from lab.judge.proof import PlaneSaid, places
from lab.model.evidence import CallRecord
from lab.planes import agreement
from lab.render import explain
from lab.render.wording import came_back, crossed, legible, shorten
from lab.report.files import File, Files
from lab.report.stored import FailureReport

LINES = 60
"""Lines of an answer that are shown; the whole is in evidence.json."""


@dataclass(frozen=True)
class Witness:
    """One plane's answer, with a link to where it can be read again."""

    plane: str
    source: str
    security: str
    why: str
    file: File | None
    place: str
    quoted: str


@dataclass(frozen=True)
class ShownHop:
    """A call as it was observed; of a call through a gateway, one of its two hops."""

    name: str
    between: str
    security: str
    crossed: str
    marker_count: int
    agreement: str
    witnesses: tuple[Witness, ...]


@dataclass(frozen=True)
class ShownCall:
    """One call: its command, its answer, and what every witness says of it."""

    name: str
    world: str
    step: str
    typed: str
    short: str
    came: str
    back: tuple[str, ...]
    more: int
    """Number of lines of the answer that are not shown."""
    facts: tuple[tuple[str, str], ...]
    application: tuple[tuple[str, str], ...]
    """What the application wrote into its own log."""
    unseen: str
    hops: tuple[ShownHop, ...]


def show_call(report: FailureReport, files: Files, name: str) -> ShownCall | None:
    """Return a call with its witnesses; None where it was not made."""
    record = report.evidence.call(name)
    if record is None:
        return None
    case = report.case
    names = [name, *([name + FINAL_HOP] if case.calls[name].through else [])]
    seen = [(one, case.see(one)) for one in names] if not case.unseen(name) else []
    back = legible(record.received) or legible(record.error)
    return ShownCall(
        name,
        record.world,
        record.step,
        record.typed,
        shorten(record.typed),
        came_back(record),
        tuple(back[:LINES]),
        max(0, len(back) - LINES),
        _facts(record),
        _application(next((one for _, one in seen if one), None)),
        case.unseen(name),
        tuple(_show_hop(report, files, one, found) for one, found in seen if found),
    )


def _facts(record: CallRecord) -> tuple[tuple[str, str], ...]:
    """Return what was recorded beside a call's answer, and which counters rose."""
    told = [("exit code", str(record.code)), ("seconds", f"{record.ended - record.started:.3f}")]
    told += [(key.replace("_", " "), str(value)) for key, value in [*record.facts.items()][:12]]
    counted = [
        (f"{pod}: {name}", by) for pod, rose in record.counters.items() for name, by in rose.items()
    ]
    told += [(name, f"+{by}") for name, by in counted[:12]]
    return tuple(dict(told).items())


def _application(seen: Observation | None) -> tuple[tuple[str, str], ...]:
    line = (seen.app_line if seen else None) or {}
    wanted = ("spoke", "request", "client_certificate", "code", "error")
    return tuple(
        (key.replace("_", " "), str(line[key])) for key in wanted if line.get(key) not in (None, "")
    )


def _show_hop(report: FailureReport, files: Files, name: str, seen: Observation) -> ShownHop:
    return ShownHop(
        name,
        f"{seen.call.source} to {seen.call.to}",
        seen.security,
        crossed(seen),
        seen.marker_count,
        agreement(read_witnesses(report.case, seen)),
        tuple(show_witness(report, files, one) for one in places(report.case, seen)),
    )


def show_witness(report: FailureReport, files: Files, said: PlaneSaid) -> Witness:
    """Return a plane's answer with a link to its file, and the log line that it quotes."""
    name, _, place = said.where.partition(" ")
    file, line = files.find(name), place.removeprefix("line ")
    quoted = explain.quoted(report.folder / name, int(line)) if file and line.isdecimal() else ""
    return Witness(said.plane, said.source, said.security, said.why, file, place, quoted)


def witnesses_of(made: Sequence[ShownCall]) -> list[tuple[str, str]]:
    """Return (plane, source) of every witness that any of these calls has, in their order."""
    found = ((one.plane, one.source) for call in made for hop in call.hops for one in hop.witnesses)
    return list(dict.fromkeys(found))
