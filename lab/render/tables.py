"""Verdicts for people and machines: the table, the proofs, Markdown, JUnit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from lab.judge.verdict import ClaimVerdict, RemedyVerdict, Said, Verdict
from lab.render.display import Table
from lab.render.wording import SHOWS


def claims_table(verdicts: Iterable[Verdict], title: str = "") -> Table:
    """The post says / as posted, today / what fails today / on the wire."""
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
    header = ("", "the post says", "as posted", "on the wire", "today's form", "on the wire", "pin")
    return Table(title, header, rows)


def _in_order(verdicts: Iterable[Verdict], what: str) -> list[Any]:
    """Claims or remedies of all failures, in the order of the post's claims."""
    found = [one for verdict in verdicts for one in getattr(verdict, what)]
    return sorted(found, key=lambda one: str(getattr(one, "id", "") or one.claim))


def remedies_table(verdicts: Iterable[Verdict], title: str = "") -> Table:
    """What is done / does it heal / what is then on the wire / what it costs."""
    rows = tuple(
        (one.claim, one.says, one.word, wire(one), one.price, one.agreement)
        for one in _in_order(verdicts, "remedies")
    )
    header = ("", "remedy", "does it heal", "on the wire with it", "its price", "pin")
    return Table(title, header, rows)


def wire(said: Said | RemedyVerdict) -> str:
    """What was on the wire of the call that shows an answer, or of the call with the remedy."""
    if said.proof is None:
        return "-"
    read = f", read {said.proof.marker_count}x" if said.proof.marker_count else ""
    return SHOWS[said.proof.security] + read


def proofs(verdict: Verdict) -> list[str]:
    """What was sent, the first bytes on the wire, how often the marker was found, who answered."""
    lines = [verdict.failure]
    for name, said in verdict.claims[0].answers:
        proof = said.proof
        if proof is None:
            lines.append(f"  {name}: no proof was recorded")
            continue
        shown = f"{proof.first_bytes}  |{proof.first_text}|" if proof.first_bytes else proof.why
        found = f"found {proof.marker_count}x in what both sides sent"
        peer = f"; {proof.peer} called, says the server's proxy" if proof.peer else ""
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
            lines.append(f"    else         {', '.join(others)}")
    return lines


def _graph(said: Said) -> list[str]:
    """Of what the post read off a missing lock: the wire and the graphs, folded."""
    indent = "    graph        "
    return textwrap.wrap(
        said.graph, 100, initial_indent=indent, subsequent_indent=" " * len(indent)
    )


def reasons(verdict: Verdict) -> list[str]:
    """What was seen that led to each verdict, control by control and claim by claim."""
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
    return lines


def terminal(verdicts: Sequence[Verdict], width: int, *, title: str = "") -> str:
    """The table, each failure's proof, and what could not be said."""
    parts = [claims_table(verdicts, title).text(width), ""]
    if any(verdict.remedies for verdict in verdicts):
        parts += [remedies_table(verdicts).text(width), ""]
    parts += [line for verdict in verdicts for line in [*proofs(verdict), ""]]
    silent: dict[str, list[str]] = {}
    for verdict in verdicts:
        if why := _unsaid(verdict):
            silent.setdefault(why, []).append(verdict.failure)
    parts += [f"{', '.join(names)}: nothing can be said: {why}\n" for why, names in silent.items()]
    for verdict in verdicts:
        for said in [] if _unsaid(verdict) else verdict.said:
            if said.inconclusive or said.agreement == "differs":
                parts += _explain(verdict, said)
    return "\n".join([*parts, *_skipped(verdicts), *_unusual(verdicts)]).rstrip()


def _skipped(verdicts: Sequence[Verdict]) -> list[str]:
    """What is not for this kind of cluster, by name, and why."""
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
    """Settings of the mesh, where a verdict is not as pinned: they may be why."""
    found = [one for verdict in verdicts if verdict.exit_code for one in verdict.unusual]
    told = [f"  {setting}" for setting in dict.fromkeys(found)]
    return ["The mesh is not set as Istio is by default:", *told, ""] if told else []


def _unsaid(verdict: Verdict) -> str:
    """The one reason for which nothing at all can be said of a failure; or nothing."""
    reasons = {said.why for claim in verdict.claims for _, said in claim.answers}
    return reasons.pop() if len(reasons) == 1 and all(s.inconclusive for s in verdict.said) else ""


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
    """summary.md: the table, the proofs, and how to repeat it."""
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
    """A table as lines of Markdown; no cell may hold a line's end."""
    rows = (table.header, ("---",) * len(table.header), *table.rows)
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def _stack_line(summary: dict[str, Any]) -> str:
    stack = summary.get("stack") or {}
    told = ", ".join(
        f"{name} {stack[name]}" for name in ("kubernetes", "istio", "envoy") if name in stack
    )
    return f"{summary['cluster']} cluster; {told}; exit code {summary['exit_code']}"
