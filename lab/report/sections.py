"""The sections of a failure's part of the page: each is a function here and a template of its name.

A function takes what there is to tell of one failure and returns what its template shows, or None
where there is nothing. To add a section: a line in SECTIONS, a function, a template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.common import files
from lab.common.errors import LabError
from lab.judge.observation import FINAL_HOP, Observation
from lab.judge.planes import read_witnesses
from lab.judge.proof import PlaneSaid, Proof, places
from lab.judge.verdict import RemedyVerdict, Said
from lab.model.evidence import CallRecord
from lab.model.failure import Answer, Remedy
from lab.model.scenario import STEPS
from lab.planes import agreement
from lab.render import disagreements_table, explain
from lab.render.wording import came_back, crossed, difference, filled, legible, shorten
from lab.report import figure
from lab.report.files import File, Files
from lab.report.stored import Told

if TYPE_CHECKING:
    from lab.render.display import Picture

Shown = Mapping[str, Any]
LINES = 60
"""Of what came back, at most; the whole is in evidence.json."""
NOTES = 40
"""Problems of a run that are told, at most."""
BEFORE = {"broken": "as it is", "changed": "with the remedy", "restored": "taken back"}


@dataclass(frozen=True)
class Section:
    """One part of what is told of a failure."""

    name: str
    """Of its template, and of its place on the page."""
    title: str
    of: Callable[[Told, Files], Shown | None]


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
    """A call as observed; of a call through a gateway, one of its two hops."""

    name: str
    between: str
    security: str
    crossed: str
    marker_count: int
    agreement: str
    witnesses: tuple[Witness, ...]


@dataclass(frozen=True)
class Made:
    """One call: what was typed, what came back, and what every witness says of it."""

    name: str
    world: str
    step: str
    typed: str
    short: str
    came: str
    back: tuple[str, ...]
    more: int
    """Lines of what came back that are not shown."""
    facts: tuple[tuple[str, str], ...]
    application: tuple[tuple[str, str], ...]
    """What the application wrote into its own log."""
    unseen: str
    hops: tuple[ShownHop, ...]


def story(told: Told, _files: Files) -> Shown:
    """Sources, worlds with their policies, parameters, and what went wrong while recording."""
    evidence = told.evidence
    worlds = [
        (world, evidence.worlds.get(world.name), filled(world.policy, world.name, evidence))
        for world in told.failure.worlds
    ]
    notes = [f"The cluster itself failed: {evidence.trouble}"] if evidence.trouble else []
    notes += [f"While recording: {one}" for one in evidence.problems[:NOTES]]
    untried = [*evidence.untried.items()][:NOTES]
    notes += [f"Not tried: {name}: {reason}" for name, reason in untried]
    notes += [f"The mesh is not set as Istio is by default: {one}" for one in told.verdict.unusual]
    return {"worlds": worlds, "notes": notes}


def picture(told: Told, _files: Files) -> Shown:
    """The figure of all edges as proven, and the same as a table."""
    from lab.render import edges_figure

    return _drawn(lambda: edges_figure.picture(figure.drawable(told.case)), told.failure.name)


def planes(told: Told, _files: Files) -> Shown:
    """Each edge with the lock that every plane has of it, and the same as a table."""
    from lab.render import planes_figure

    prefix = f"{told.failure.name}-planes"
    return _drawn(lambda: planes_figure.picture(figure.drawable(told.case)), prefix)


def _drawn(draw: Callable[[], Picture], prefix: str) -> Shown:
    """A figure, or why there is none."""
    try:
        found = draw()
        return {"svg": figure.inline(found, prefix), "picture": found, "problem": ""}
    except Exception as problem:  # of another's evidence; the tables beside it say the same
        return {"svg": "", "picture": None, "problem": f"{type(problem).__name__}: {problem}"}


def hops(told: Told, files: Files) -> Shown | None:
    """Each call that an answer is shown by, hop by hop, and its packets to download."""
    found = [
        {"name": name, **_sequence(told, name), "packets": files.packets.get(name)}
        for name in shown_by(told)
    ]
    return {"calls": found} if found else None


def _sequence(told: Told, name: str) -> Shown:
    from lab.render import sequence_diagram

    prefix = f"{told.failure.name}-{files.plain(name)}"
    return _drawn(lambda: sequence_diagram.picture(told.case, name), prefix)


def shown_by(told: Told) -> list[str]:
    """Calls between pods that an answer of this failure is shown by, and that were made."""
    claims = told.failure.claims
    names = dict.fromkeys(a.shows for one in claims for a in (one.as_posted, one.today))
    made = (name for name in names if told.evidence.call(name) and not told.case.unseen(name))
    return [name for name in made if told.case.calls[name].source != "api"]


def graphs(told: Told, _files: Files) -> Shown | None:
    """What Kiali's generations would have drawn of these calls, and what is at odds about them."""
    names = shown_by(told)
    said = [(one.id, one.as_posted.graph) for one in told.verdict.claims if one.as_posted.graph]
    try:
        tables = (
            disagreements_table.graphs_table(told.case, names),
            disagreements_table.disagreements_table(told.case, names),
        )
    except LabError as problem:
        return {"said": said, "tables": (), "problem": str(problem)}
    return {"said": said, "tables": tables, "problem": ""} if names else None


def claims(told: Told, files: Files) -> Shown:
    """Each claim's two answers, what led to each, and the controls."""
    pairs = zip(told.failure.claims, told.verdict.claims, strict=True)
    return {
        "controls": told.verdict.controls,
        "claims": [
            (
                judged,
                (
                    _answer(told, files, "as posted", claim.as_posted, judged.as_posted),
                    _answer(told, files, "today's form", claim.today, judged.today),
                ),
                explain.drift(told.verdict, judged),
            )
            for claim, judged in pairs
        ],
    }


def _answer(told: Told, files: Files, name: str, answer: Answer, said: Said) -> Shown:
    return {
        "name": name,
        "question": answer.question,
        "said": said,
        "parts": said.why.split("; "),
        "proof": said.proof,
        "witnesses": _of_proof(told, files, said.proof),
    }


def _of_proof(told: Told, files: Files, proof: Proof | None) -> list[Witness]:
    return [_witness(told, files, one) for one in proof.planes] if proof else []


def calls(told: Told, files: Files) -> Shown | None:
    """The failure's own calls: a table of all witnesses, and each call's transcript."""
    made = [_made(told, files, call.name) for call in told.failure.calls]
    found = [one for one in made if one]
    return {"calls": found, "planes": _planes(found)} if found else None


def remedies(told: Told, files: Files) -> Shown | None:
    """Each remedy: its change, its three steps, and why it heals or does not."""
    found = [
        _remedy(told, files, remedy, judged)
        for remedy, judged in zip(told.failure.remedies, told.verdict.remedies, strict=True)
    ]
    return {"remedies": found} if found else None


def _remedy(told: Told, files: Files, remedy: Remedy, judged: RemedyVerdict) -> Shown:
    steps = [(step, _made(told, files, f"{remedy.name}:{step}")) for step in STEPS]
    made = [(BEFORE[step], one) for step, one in steps if one]
    return {
        "remedy": remedy,
        "judged": judged,
        "parts": judged.why.split("; "),
        "drift": explain.drift(told.verdict, judged),
        "diff": difference(remedy, told.evidence),
        "steps": made,
        "planes": _planes([one for _, one in made]),
    }


def downloads(_told: Told, files: Files) -> Shown | None:
    """Everything that the failure's folder holds."""
    return {"files": files} if files.all else None


SECTIONS = (
    Section("story", "What was set up", story),
    Section("picture", "Who spoke to whom", picture),
    Section("planes", "Every edge, as every plane has it", planes),
    Section("claims", "Verdicts, and what decided them", claims),
    Section("graphs", "What a graph would have shown", graphs),
    Section("hops", "ShownHop by hop", hops),
    Section("calls", "Every call, and every witness", calls),
    Section("remedies", "Remedies: broken, healed, broken again", remedies),
    Section("downloads", "Evidence to download", downloads),
)


def _made(told: Told, files: Files, name: str) -> Made | None:
    record = told.evidence.call(name)
    if record is None:
        return None
    case = told.case
    names = [name, *([name + FINAL_HOP] if case.calls[name].through else [])]
    seen = [(one, case.see(one)) for one in names] if not case.unseen(name) else []
    back = legible(record.received) or legible(record.error)
    return Made(
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
        tuple(_hop(told, files, one, found) for one, found in seen if found),
    )


def _facts(record: CallRecord) -> tuple[tuple[str, str], ...]:
    """What this kind of call tells beside its answer, and which counters rose."""
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


def _hop(told: Told, files: Files, name: str, seen: Observation) -> ShownHop:
    return ShownHop(
        name,
        f"{seen.call.source} to {seen.call.to}",
        seen.security,
        crossed(seen),
        seen.marker_count,
        agreement(read_witnesses(told.case, seen)),
        tuple(_witness(told, files, one) for one in places(told.case, seen)),
    )


def _witness(told: Told, files: Files, said: PlaneSaid) -> Witness:
    name, _, place = said.where.partition(" ")
    file, line = files.find(name), place.removeprefix("line ")
    quoted = explain.quoted(told.folder / name, int(line)) if file and line.isdecimal() else ""
    return Witness(said.plane, said.source, said.security, said.why, file, place, quoted)


def _planes(made: Sequence[Made]) -> list[tuple[str, str]]:
    """(plane, source) of every witness that any of these calls has, in their order."""
    found = ((one.plane, one.source) for call in made for hop in call.hops for one in hop.witnesses)
    return list(dict.fromkeys(found))
