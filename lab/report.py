"""Verdicts for people and machines: the table, the proofs, Markdown, JUnit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from lab.display import Table
from lab.verdict import ClaimVerdict, Verdict

EXPLAINED = {
    0: "every verdict is as pinned",
    1: "a verdict differs from its pin",
    3: "a verdict is inconclusive, or its stack has no pin",
    254: "bad arguments",
    255: "the lab itself failed",
}
SHOWS = {
    "mutual_tls": "mutual TLS",
    "tls": "TLS",
    "plaintext": "plaintext",
    "mixed": "partly plaintext",
    "none": "nothing crossed",
    "unknown": "unknown",
}


def claims_table(verdicts: Iterable[Verdict], title: str = "") -> Table:
    """The post says / as posted, today / what fails today / on the wire."""
    rows = tuple(
        (claim.id, claim.says, claim.as_posted.word, claim.today.word, wire(claim), claim.agreement)
        for verdict in verdicts
        for claim in verdict.claims
    )
    header = ("", "the post says", "as posted, today", "today's form", "on the wire", "pin")
    return Table(title, header, rows)


def wire(claim: ClaimVerdict) -> str:
    """What was on the wire of the claim's own call."""
    proof = claim.proof
    if proof is None:
        return "no record"
    return f"{SHOWS[proof.security]}, marker read {proof.marker_count}x"


def proofs(verdict: Verdict) -> list[str]:
    """What was sent, the first bytes on the wire, how often the marker was found, who answered."""
    claim = verdict.claims[0]
    proof = claim.proof
    if proof is None:
        return [f"{verdict.failure}: no proof was recorded"]
    lines = [
        f"{verdict.failure}",
        f"  sent        {proof.typed}",
        f"  on the wire {proof.first_bytes}  |{proof.first_text}|",
        f"  marker      found {proof.marker_count}x in {proof.client_bytes} bytes sent",
    ]
    return [*lines, f"  peer        {proof.peer}, says the server's proxy"] if proof.peer else lines


def reasons(verdict: Verdict) -> list[str]:
    """What was seen that led to each verdict, control by control and claim by claim."""
    lines = ["controls"]
    for says, holds, text in verdict.controls:
        lines.append(f"  {'holds' if holds else 'FAILS'}  {says}")
        lines += [] if holds else [f"         {text}"]
    for claim in verdict.claims:
        lines += ["", f"{claim.id}  {claim.says}"]
        for name, said in (("as posted", claim.as_posted), ("today's form", claim.today)):
            lines.append(f"  {name}: {said.word}")
            lines += [f"    - {part}" for part in said.why.split("; ")]
        if claim.agreement == "differs" and claim.pinned:
            lines.append(f"  pinned as {' / '.join(claim.pinned)}: {claim.pin_why}")
    return lines


def terminal(verdicts: Sequence[Verdict], width: int, *, title: str = "") -> str:
    """The table, each failure's proof, and what could not be said."""
    parts = [claims_table(verdicts, title).text(width), ""]
    parts += [line for verdict in verdicts for line in [*proofs(verdict), ""]]
    for verdict in verdicts:
        for claim in verdict.claims:
            if claim.inconclusive or claim.agreement == "differs":
                parts += _explain(verdict, claim)
    return "\n".join(parts).rstrip()


def _explain(verdict: Verdict, claim: ClaimVerdict) -> list[str]:
    lines = [f"{verdict.failure} {claim.id}: {claim.agreement}"]
    if claim.pinned:
        lines.append(f"  expected {' / '.join(claim.pinned)} ({claim.pin_why})")
    lines.append(f"  as posted:    {claim.as_posted.word}: {claim.as_posted.why}")
    lines.append(f"  today's form: {claim.today.word}: {claim.today.why}")
    return [*lines, ""]


def markdown(summary: dict[str, Any], verdicts: Sequence[Verdict]) -> str:
    """summary.md: the table, the proofs, and how to repeat it."""
    table = claims_table(verdicts)
    lines = [f"# Run {summary['run']}", "", _stack_line(summary), ""]
    lines.append("| " + " | ".join(table.header) + " |")
    lines.append("|" + "---|" * len(table.header))
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in table.rows]
    for verdict in verdicts:
        lines += ["", f"## {verdict.title}", "", "```", *proofs(verdict)[1:], "```", ""]
        lines += ["<details><summary>why</summary>", "", "```", *reasons(verdict), "```"]
        lines += ["", "</details>"]
    lines += ["", f"Again: `{summary['command']}`", ""]
    return "\n".join(lines)


def _stack_line(summary: dict[str, Any]) -> str:
    stack = summary.get("stack") or {}
    told = ", ".join(
        f"{name} {stack[name]}" for name in ("kubernetes", "istio", "envoy") if name in stack
    )
    return f"{summary['cluster']} cluster; {told}; exit code {summary['exit_code']}"


_FORBIDDEN = re.compile(r"[^\t\n\x20-\uD7FF\uE000-\uFFFD]")


def junit(verdicts: Sequence[Verdict], missing: dict[str, str], seconds: float) -> str:
    """JUnit XML: one test case for each claim and answer; a failure without verdict is an error."""
    suite = ElementTree.Element("testsuite", name="istio-failure-lab", time=f"{seconds:.1f}")
    for verdict in verdicts:
        for claim in verdict.claims:
            _cases(suite, verdict, claim)
    for failure, why in missing.items():
        case = ElementTree.SubElement(suite, "testcase", classname=failure, name="verdict")
        ElementTree.SubElement(case, "error", message=_FORBIDDEN.sub("?", why))
    for kind in ("failure", "error", "testcase"):
        count = len(list(suite.iter(kind)))
        suite.set({"failure": "failures", "error": "errors", "testcase": "tests"}[kind], str(count))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _cases(suite: ElementTree.Element, verdict: Verdict, claim: ClaimVerdict) -> None:
    answers = (("as posted", claim.as_posted), ("today's form", claim.today))
    for position, (name, said) in enumerate(answers):
        where = {"classname": verdict.failure, "name": f"{claim.id} {name}"}
        case = ElementTree.SubElement(suite, "testcase", where)
        text = _FORBIDDEN.sub("?", said.why)
        expected = claim.pinned[position] if claim.pinned else "no pin for this stack"
        message = f"{said.word}, expected {expected}"
        if said.word == "inconclusive" or claim.pinned is None:
            ElementTree.SubElement(case, "error", message=message).text = text
        elif said.word != expected:
            ElementTree.SubElement(case, "failure", message=message).text = text
        else:
            ElementTree.SubElement(case, "system-out").text = f"{said.word}: {text}"
