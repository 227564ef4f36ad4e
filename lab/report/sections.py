"""Builds the sections of a failure on the page: each is a function here and a template of its name.

A function takes the report of one failure and returns the values that its template shows, or None
where there is nothing to show. To add a section: a line in SECTIONS, a function, a template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.common import files
from lab.common.errors import LabError
from lab.judge.proof import Proof
from lab.judge.verdict import RemedyVerdict, Said
from lab.model.evidence import Evidence
from lab.model.failure import Answer, Remedy
from lab.model.scenario import STEPS, World
from lab.render import explain, tables, tools
from lab.render.wording import difference, filled, policy
from lab.report import figure
from lab.report.files import Files
from lab.report.shown_calls import Witness, show_call, show_witness, witnesses_of
from lab.report.stored import FailureReport

if TYPE_CHECKING:
    from lab.render.display import Picture

Shown = Mapping[str, Any]
NOTES = 40
"""Problems of a run that are listed, at most."""
BEFORE = {"broken": "as it is", "changed": "with the remedy", "restored": "taken back"}


@dataclass(frozen=True)
class Section:
    """One section of a failure's report."""

    name: str
    """The name of its template, and of its anchor on the page."""
    title: str
    build: Callable[[FailureReport, Files], Shown | None]
    draws: bool = False
    """Whether it draws figures, which takes longer than all the rest of the page."""


def story(report: FailureReport, _files: Files) -> Shown:
    """List sources, worlds with their policies, and what went wrong while recording."""
    evidence = report.evidence
    worlds = [
        (world, evidence.worlds.get(world.name), _policies(world, evidence))
        for world in report.failure.worlds
    ]
    notes = [f"The cluster failed: {evidence.trouble}"] if evidence.trouble else []
    notes += [f"Problem while recording: {one}" for one in evidence.problems[:NOTES]]
    untried = [*evidence.untried.items()][:NOTES]
    notes += [f"Remedy {name} was not tried: {reason}" for name, reason in untried]
    notes += [
        f"Setting of this mesh that is not Istio's default: {one}" for one in report.verdict.unusual
    ]
    return {"worlds": worlds, "notes": notes, "policy": policy}


def _policies(world: World, evidence: Evidence) -> str:
    """Return the manifests of a world's policies, and of its further objects."""
    texts = [text for text in (world.policy, world.objects) if text]
    return filled("---\n".join(texts), world.name, evidence)


def picture(report: FailureReport, _files: Files) -> Shown:
    """Draw all edges as the packets prove them, and return the same as a table."""
    from lab.render import edges_figure

    return _drawn(lambda: edges_figure.picture(figure.drawable(report.case)), report.failure.name)


def planes(report: FailureReport, _files: Files) -> Shown:
    """Draw each edge with the lock that every plane gives it, and return the same as a table."""
    from lab.render import planes_figure

    prefix = f"{report.failure.name}-planes"
    return _drawn(lambda: planes_figure.picture(figure.drawable(report.case)), prefix)


def _drawn(draw: Callable[[], Picture], prefix: str) -> Shown:
    """Return a figure, or why it could not be drawn."""
    try:
        found = draw()
        return {"svg": figure.inline(found, prefix), "picture": found, "problem": ""}
    except Exception as problem:  # evidence may come from anybody; the tables say the same
        return {"svg": "", "picture": None, "problem": f"{type(problem).__name__}: {problem}"}


def hops(report: FailureReport, files: Files) -> Shown | None:
    """Draw each call that shows an answer, hop by hop, and link its packets."""
    found = [
        {"name": name, **_sequence(report, name), "packets": files.packets.get(name)}
        for name in shown_by(report)
    ]
    return {"calls": found} if found else None


def _sequence(report: FailureReport, name: str) -> Shown:
    from lab.render import sequence_diagram

    prefix = f"{report.failure.name}-{files.plain(name)}"
    return _drawn(lambda: sequence_diagram.picture(report.case, name), prefix)


def shown_by(report: FailureReport) -> list[str]:
    """Name the calls between pods that show an answer of this failure, and that were made."""
    claims = report.failure.claims
    names = dict.fromkeys(a.shows for one in claims for a in (one.as_posted, one.today))
    made = (name for name in names if report.evidence.call(name) and not report.case.unseen(name))
    return [name for name in made if report.case.calls[name].source != "api"]


def graphs(report: FailureReport, _files: Files) -> Shown | None:
    """Say what each generation of Kiali would have drawn, and where the planes disagree."""
    names = shown_by(report)
    said = [(one.id, one.as_posted.graph) for one in report.verdict.claims if one.as_posted.graph]
    try:
        shown = (
            tables.graphs_table(report.case, names),
            tables.disagreements_table(report.case, names),
        )
    except LabError as problem:
        return {"said": said, "tables": (), "problem": str(problem)}
    return {"said": said, "tables": shown, "problem": ""} if names else None


def claims(report: FailureReport, files: Files) -> Shown:
    """List each claim's two answers with what decided them, and the controls."""
    pairs = zip(report.failure.claims, report.verdict.claims, strict=True)
    return {
        "controls": report.verdict.controls,
        "claims": [
            (
                judged,
                (
                    _answer(report, files, "as posted", claim.as_posted, judged.as_posted),
                    _answer(report, files, "today's form", claim.today, judged.today),
                ),
                explain.drift(report.verdict, judged),
            )
            for claim, judged in pairs
        ],
    }


def _answer(report: FailureReport, files: Files, name: str, answer: Answer, said: Said) -> Shown:
    return {
        "name": name,
        "question": answer.question,
        "said": said,
        "parts": said.why.split("; "),
        "proof": said.proof,
        "witnesses": _of_proof(report, files, said.proof),
    }


def _of_proof(report: FailureReport, files: Files, proof: Proof | None) -> list[Witness]:
    return [show_witness(report, files, one) for one in proof.planes] if proof else []


def calls(report: FailureReport, files: Files) -> Shown | None:
    """List the failure's own calls: a table of all witnesses, and each call's transcript."""
    made = [show_call(report, files, call.name) for call in report.failure.calls]
    found = [one for one in made if one]
    return {"calls": found, "planes": witnesses_of(found)} if found else None


def remedies(report: FailureReport, files: Files) -> Shown | None:
    """List each remedy: its change, its three steps, and why it heals or does not."""
    found = [
        _remedy(report, files, remedy, judged)
        for remedy, judged in zip(report.failure.remedies, report.verdict.remedies, strict=True)
    ]
    return {"remedies": found} if found else None


def _remedy(report: FailureReport, files: Files, remedy: Remedy, judged: RemedyVerdict) -> Shown:
    steps = [(step, show_call(report, files, f"{remedy.name}:{step}")) for step in STEPS]
    made = [(BEFORE[step], one) for step, one in steps if one]
    return {
        "remedy": remedy,
        "judged": judged,
        "parts": judged.why.split("; "),
        "drift": explain.drift(report.verdict, judged),
        "diff": difference(remedy, report.evidence),
        "steps": made,
        "planes": witnesses_of([one for _, one in made]),
    }


def istioctl(report: FailureReport, _files: Files) -> Shown | None:
    """Say what istioctl said of the failure's worlds, where it was asked."""
    told = tools.lines(report.evidence)
    return {"lines": told[1:]} if told else None  # the first is the section's title


def downloads(_report: FailureReport, files: Files) -> Shown | None:
    """List everything that the failure's folder holds."""
    return {"files": files} if files.all else None


SECTIONS = (
    Section("story", "What was set up", story),
    Section("picture", "Who called whom", picture, draws=True),
    Section("planes", "Every edge in every plane", planes, draws=True),
    Section("claims", "Verdicts, and what decided them", claims),
    Section("graphs", "What Kiali's graph would have shown", graphs),
    Section("hops", "Hop by hop", hops, draws=True),
    Section("calls", "Every call and every witness", calls),
    Section("remedies", "Remedies: broken, healed, broken again", remedies),
    Section("istioctl", tools.TITLE, istioctl),
    Section("downloads", "Evidence to download", downloads),
)
