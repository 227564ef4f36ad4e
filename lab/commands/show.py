"""`istio-lab show`: what committed evidence tells of failures. Only the standard library."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence

from lab import failures
from lab.common import places
from lab.common.errors import LabError
from lab.common.text import printable, terminal_width
from lab.judge import replay
from lab.judge.case import Case
from lab.judge.verdict import Verdict
from lab.render import tables, wording
from lab.truth_table import verdict as cells
from lab.truth_table.claims import CLAIMS, SOURCES


def add(parser: argparse.ArgumentParser) -> None:
    """Take a failure."""
    parser.add_argument("failure", nargs="?", help="default: a table of all")


def run(options: argparse.Namespace) -> int:
    """Print a failure's story, or the table of all."""
    width = terminal_width()
    if options.failure == cells.NAME:
        told = of_cells(width)
    else:
        told = story(options.failure, width) if options.failure else table(failures.names(), width)
    print(printable(told))
    return 0


def recorded_run(name: str) -> replay.RecordedRun:
    """Return the recorded run of a failure, with its default parameters."""
    failure = failures.load(name)
    defaults = {key: parameter.default for key, parameter in failure.parameters.items()}
    return replay.RecordedRun(failure, defaults)


def table(names: Sequence[str], width: int) -> str:
    """Return the table of what is recorded, marked as such. width: of the terminal, in columns."""
    verdicts: list[Verdict] = []
    said = ""
    for name in names:
        try:
            run = recorded_run(name)
        except LabError:
            continue
        verdicts.append(run.judge())
        said = wording.said(run.evidence)
    if not verdicts:
        return "Nothing is recorded yet."
    verdicts.append(cells.judge(cells.recorded()))
    return tables.claims_table(verdicts, said).text(width)


def story(name: str, width: int) -> str:
    """Return a failure in one screen: symptom, claims, verdicts, what crossed the wire, sources."""
    run = recorded_run(name)
    verdict = run.judge()
    case = run.case
    lines = [run.failure.title, "=" * len(run.failure.title), wording.said(run.evidence), ""]
    lines += [f"Symptom: {run.failure.symptom}", ""]
    for claim, judged in zip(run.failure.claims, verdict.claims, strict=True):
        lines.append(f"{claim.id}. Claim: {claim.says}")
        for answer, said in ((claim.as_posted, judged.as_posted), (claim.today, judged.today)):
            lines.append(f"    {answer.question}  {said.word.upper()}")
        lines.append("")
    lines.append("On the wire, between the pods:")
    answers = [one for c in run.failure.claims for one in (c.as_posted, c.today)]
    for call in dict.fromkeys([answer.shows for answer in answers] + _others(run)):
        lines += _wire(case, call)
    lines += ["", "Sources:", *(f"  {source}" for source in run.failure.sources)]
    lines += ["", f"See it live: {places.reproduce(name)}"]
    return "\n".join(_fold(line, width) for line in lines)


def of_cells(width: int) -> str:
    """Return the claims that the truth table decides, in one screen."""
    verdict = cells.judge(cells.recorded())
    lines = [verdict.title, "=" * len(verdict.title), wording.said(verdict), ""]
    lines += [f"Symptom: {cells.SYMPTOM}", ""]
    for claim, judged in zip(CLAIMS, verdict.claims, strict=True):
        lines.append(f"{claim.id}. Claim: {claim.says}")
        for question, said in zip(claim.questions, judged.answers, strict=True):
            lines.append(f"    {question.question}  {said[1].word.upper()}")
            lines += [f"        - {part}" for part in said[1].why.split("; ")]
        lines.append("")
    lines += [tables.cells_line(verdict.cells), "", "Sources:"]
    lines += [*(f"  {source}" for source in SOURCES), "", f"See it live: {cells.LIVE}"]
    return "\n".join(_fold(line, width) for line in lines)


def _others(run: replay.RecordedRun) -> list[str]:
    """Return a call in plaintext, to be read beside the encrypted ones."""
    named = [call.name for call in run.failure.calls if call.name in ("udp-foo", "plain-post")]
    return named[:1]


def _wire(case: Case, name: str) -> list[str]:
    seen = case.see(name)
    if seen is None:
        return []
    first = seen.wire.packets.first_bytes
    text = "".join(chr(b) if 32 <= b < 127 else "." for b in first)
    return [
        f"  $ {seen.record.typed}",
        f"    {first.hex(' ')}  |{text}|",
        f"    {wording.SHOWS[seen.security]}; marker read {seen.marker_count}x; "
        f"{seen.record.outcome} {seen.record.status or ''}".rstrip(),
    ]


def _fold(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return (
        textwrap.fill(
            line,
            width,
            subsequent_indent=indent,
            break_long_words=False,
            replace_whitespace=False,
            break_on_hyphens=False,
            drop_whitespace=True,
        )
        if len(line) > width
        else line
    )
