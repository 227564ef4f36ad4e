"""Shows verdicts as tables, as text for the terminal, and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from lab.judge import telemetry
from lab.judge.case import Case
from lab.judge.disagreements import find_disagreements
from lab.judge.edge import observe_edge
from lab.judge.verdict import CellVerdict, ClaimVerdict, RemedyVerdict, Said, Verdict
from lab.model.failure import Failure
from lab.render.display import Table
from lab.render.wording import SHOWS

MODEL = "A model of Kiali's rules, fed from the proxies' logs: neither Kiali nor Mixer runs."


def claims_table(verdicts: Iterable[Verdict], title: str = "") -> Table:
    """Return a row for each claim: its two answers, what crossed the wire, and its pin."""
    rows = tuple(
        (
            claim.id,
            claim.says,
            claim.as_posted.word,
            wire(claim.as_posted),
            claim.today.word,
            wire(claim.today),
            claim.agreement,
        )
        for claim in _in_order(verdicts, "claims")
    )
    header = ("", "the claim", "as posted", "on the wire", "today's form", "on the wire", "pin")
    return Table(title, header, rows)


def questions_table(failure: Failure, verdict: Verdict, title: str = "") -> Table:
    """Return two rows for each claim: what was asked of it as posted, and in today's form."""
    declared = {claim.id: claim for claim in failure.claims}
    rows: list[tuple[str, ...]] = []
    for one in verdict.claims:
        claim = declared[one.id]
        posted = f"As posted: {claim.as_posted.question}"
        said = one.as_posted
        rows.append((one.id, f"{one.says}\n{posted}", said.word, wire(said), one.agreement))
        rows.append(
            ("", f"Today's form: {claim.today.question}", one.today.word, wire(one.today), "")
        )
    header = ("", "the claim, and what was asked of it", "answer", "on the wire", "pin")
    return Table(title, header, tuple(rows))


def _in_order(verdicts: Iterable[Verdict], what: str) -> list[Any]:
    """Return claims or remedies of all failures, in the order of the post's claims."""
    found = [one for verdict in verdicts for one in getattr(verdict, what)]
    return sorted(found, key=lambda one: str(getattr(one, "id", "") or one.claim))


def remedies_table(verdicts: Iterable[Verdict], title: str = "") -> Table:
    """Return a row for each remedy: whether it heals, what then crosses the wire, its price."""
    rows = tuple(
        (one.claim, one.says, one.word, wire(one), one.price, one.agreement)
        for one in _in_order(verdicts, "remedies")
    )
    header = ("", "remedy", "does it heal", "on the wire with it", "its price", "pin")
    return Table(title, header, rows)


def wire(said: Said | RemedyVerdict) -> str:
    """Say what crossed the wire in the call that shows an answer or a remedy."""
    if said.proof is None:
        return "-"
    read = f", read {said.proof.marker_count}x" if said.proof.marker_count else ""
    return SHOWS[said.proof.security] + read


def proofs(verdict: Verdict) -> list[str]:
    """Give the proof of each answer: the command, the first bytes, the marker, the caller."""
    lines = [verdict.failure]
    if verdict.cells:
        return [*lines, f"  {cells_line(verdict.cells)}"]
    for name, said in verdict.claims[0].answers:
        proof = said.proof
        if proof is None:
            lines.append(f"  {name}: no call shows it")
            continue
        shown = f"{proof.first_bytes}  |{proof.first_text}|" if proof.first_bytes else proof.why
        found = f"read {proof.marker_count}x in what both sides sent"
        peer = f"; the server's proxy names the caller: {proof.peer}" if proof.peer else ""
        if proof.security == "unknown":
            found, peer = "not looked for", ""
        lines += [
            f"  {name}: $ {proof.typed}",
            f"    on the wire  {shown}",
            f"    marker       {found}{peer}",
            *_graph(said),
        ]
        if proof.security == "unknown":
            others = (f"{one.source}: {SHOWS[one.security]}" for one in proof.planes[1:])
            lines.append(f"    other planes {', '.join(others)}")
    return lines


def cells_line(cells: Sequence[CellVerdict]) -> str:
    """Say how many cells of the truth table there are, and how they go with their pins."""
    words = dict.fromkeys(one.agreement for one in cells)
    counts = (f"{sum(one.agreement == word for one in cells)} {word}" for word in words)
    return f"{len(cells)} cells of the truth table: {', '.join(counts)}"


def cells_table(verdict: Verdict) -> Table:
    """Return each cell that is not as pinned: what was pinned, and what was seen."""
    rows = tuple(
        (one.name, (one.pinned or ("-",))[0], one.word, one.agreement) for one in verdict.drifted
    )
    return Table("", ("cell", "pinned", "seen", "pin"), rows)


def _graph(said: Said) -> list[str]:
    """Compare the wire with the graphs, for a claim about a graph's lock; folded lines."""
    indent = "    graph        "
    return textwrap.wrap(
        said.graph, 100, initial_indent=indent, subsequent_indent=" " * len(indent)
    )


def reasons(verdict: Verdict) -> list[str]:
    """List what led to each verdict: controls, then claims, then remedies."""
    lines = ["controls"]
    for says, holds, text in verdict.controls:
        lines.append(f"  {'holds' if holds else 'FAILS'}  {says}")
        lines += [] if holds else [f"         {text}"]
    for claim in verdict.claims:
        lines += ["", f"{claim.id}  {claim.says}"]
        for name, said in claim.answers:
            lines.append(f"  {name}: {said.word}")
            lines += [f"    - {part}" for part in said.why.split("; ")]
        if claim.agreement == "differs" and claim.pinned:
            lines.append(f"  pinned as {' / '.join(claim.pinned)}: {claim.pin_why}")
    for remedy in verdict.remedies:
        lines += ["", f"{remedy.name}  {remedy.says}: {remedy.word}"]
        lines += [f"    - {part}" for part in remedy.why.split("; ")]
        if remedy.agreement == "differs" and remedy.pinned:
            lines.append(f"  pinned as {' / '.join(remedy.pinned)}: {remedy.pin_why}")
    return [*lines, *(line for one in verdict.drifted for line in ["", *drift(verdict, one)])]


def terminal(verdicts: Sequence[Verdict], width: int, *, title: str = "") -> str:
    """Return what a run ends with on the terminal: tables, proofs, and what is not as pinned."""
    parts = [claims_table(verdicts, title).text(width), ""]
    if any(verdict.remedies for verdict in verdicts):
        parts += [remedies_table(verdicts).text(width), ""]
    parts += [line for verdict in verdicts for line in [*proofs(verdict), ""]]
    silent: dict[str, list[str]] = {}
    for verdict in verdicts:
        if why := _all_inconclusive(verdict):
            silent.setdefault(why, []).append(verdict.failure)
    parts += [
        f"{', '.join(names)}: nothing can be concluded: {why}\n" for why, names in silent.items()
    ]
    for verdict in verdicts:
        for said in [] if _all_inconclusive(verdict) else verdict.said:
            if said.inconclusive or said.agreement == "differs":
                parts += _explain(verdict, said)
        parts += [line for one in verdict.drifted for line in [*drift(verdict, one), ""]]
    return "\n".join([*parts, *_skipped(verdicts), *_unusual(verdicts)]).rstrip()


def _skipped(verdicts: Sequence[Verdict]) -> list[str]:
    """List what was skipped on this kind of cluster, and why."""
    told = [
        f"{verdict.failure} {remedy.name}: skipped: {remedy.why}"
        for verdict in verdicts
        for remedy in verdict.remedies
        if remedy.word == "skipped"
    ]
    told += [
        f"{verdict.failure} {claim.id} {name}: skipped: {said.why}"
        for verdict in verdicts
        for claim in verdict.claims
        for name, said in claim.answers
        if said.word == "skipped"
    ]
    return [*told, ""] if told else []


def _unusual(verdicts: Sequence[Verdict]) -> list[str]:
    """List unusual settings of the mesh where a verdict is not as pinned: they may be the cause."""
    found = [one for verdict in verdicts if verdict.exit_code for one in verdict.unusual]
    told = [f"  {setting}" for setting in dict.fromkeys(found)]
    return ["Settings of this mesh that are not Istio's defaults:", *told, ""] if told else []


def _all_inconclusive(verdict: Verdict) -> str:
    """Return the one reason why all of a failure is inconclusive; empty where there is none."""
    reasons = {said.why for claim in verdict.claims for _, said in claim.answers}
    return reasons.pop() if len(reasons) == 1 and all(s.inconclusive for s in verdict.said) else ""


def drift(verdict: Verdict, cell: CellVerdict) -> list[str]:
    """Name a cell that is not as pinned, with what was pinned and what was seen."""
    pinned = " / ".join(cell.pinned or ())
    return [
        f"{verdict.failure} {cell.name}: {cell.agreement}",
        f"  pinned: {pinned}",
        f"  seen:   {cell.word if cell.word != 'inconclusive' else cell.why}",
    ]


def _explain(verdict: Verdict, said: ClaimVerdict | RemedyVerdict) -> list[str]:
    name = said.id if isinstance(said, ClaimVerdict) else said.name
    lines = [f"{verdict.failure} {name}: {said.agreement}"]
    if said.pinned:
        lines.append(f"  expected {' / '.join(said.pinned)} ({said.pin_why})")
    if isinstance(said, RemedyVerdict):
        return [*lines, f"  {said.word}: {said.why}", ""]
    lines.append(f"  as posted:    {said.as_posted.word}: {said.as_posted.why}")
    lines.append(f"  today's form: {said.today.word}: {said.today.why}")
    return [*lines, ""]


def markdown(summary: dict[str, Any], verdicts: Sequence[Verdict]) -> str:
    """Return summary.md: the tables, the proofs, and how to repeat the run."""
    lines = [f"# Run {summary['run']}", "", _stack_line(summary), ""]
    lines += markdown_table(claims_table(verdicts))
    if any(verdict.remedies for verdict in verdicts):
        lines += ["", *markdown_table(remedies_table(verdicts))]
    for verdict in verdicts:
        lines += ["", f"## {verdict.title}", "", "```", *proofs(verdict)[1:], "```", ""]
        lines += ["<details><summary>why</summary>", "", "```", *reasons(verdict), "```"]
        lines += ["", "</details>"]
    lines += ["", f"Again: `{summary['command']}`", ""]
    return "\n".join(lines)


def markdown_table(table: Table) -> list[str]:
    """Return a table as lines of Markdown. No cell may hold a line break."""
    rows = (table.header, ("---",) * len(table.header), *table.rows)
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def _stack_line(summary: dict[str, Any]) -> str:
    stack = summary.get("stack") or {}
    told = ", ".join(
        f"{name} {stack[name]}" for name in ("kubernetes", "istio", "envoy") if name in stack
    )
    return f"{summary['cluster']} cluster; {told}; exit code {summary['exit_code']}"


def graphs_table(case: Case, names: Sequence[str]) -> Table:
    """Return what each generation of Kiali would have drawn of these calls, and why."""
    rows = []
    for name in names:
        seen = case.see(name)
        rows += [
            (name, *(str(said.facts[fact]) for fact in ("generation", "drawn", "because")))
            for said in (telemetry.graphs(case, seen) if seen else ())
        ] or [(name, *["no record"] * 3)]
    header = ("call", "drawn by", "what is drawn", "why")
    return Table("The edge in Kiali's graphs", header, tuple(rows), MODEL)


def disagreements_table(case: Case, names: Sequence[str]) -> Table:
    """Return where the planes disagree about these calls, and the likely cause."""
    rows = []
    for name in names:
        seen = case.see(name)
        found = find_disagreements(observe_edge(case, seen)) if seen else ()
        rows += [(name, odd.name, odd.told, odd.likely) for odd in found] or [
            (name, "none" if seen else "no record", "-", "-")
        ]
    header = ("call", "disagreement", "what was seen", "likely cause")
    return Table("Where the planes are at odds", header, tuple(rows))
