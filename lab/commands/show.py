"""What `list` and `show` tell from committed evidence alone; standard library only."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence

from lab import failures
from lab.common.errors import LabError
from lab.judge import replay
from lab.judge.case import Case
from lab.judge.verdict import Verdict
from lab.render import tables, wording


def recorded_run(name: str) -> replay.RecordedRun:
    """The recorded run of a failure, with its default parameters."""
    failure = failures.load(name)
    defaults = {key: parameter.default for key, parameter in failure.parameters.items()}
    return replay.RecordedRun(failure, defaults)


def table(names: Sequence[str], width: int) -> str:
    """The table of what is recorded, marked as such."""
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
    return tables.claims_table(verdicts, said).text(width)


def story(name: str, width: int) -> str:
    """A failure in one screen: symptom, what was tried, what crossed the wire, verdict."""
    run = recorded_run(name)
    verdict = run.judge()
    case = run.case
    lines = [run.failure.title, "=" * len(run.failure.title), wording.said(run.evidence), ""]
    lines += [f"Symptom: {run.failure.symptom}", ""]
    for claim, judged in zip(run.failure.claims, verdict.claims, strict=True):
        lines.append(f"{claim.id}. The post says: {claim.says}")
        for answer, said in ((claim.as_posted, judged.as_posted), (claim.today, judged.today)):
            lines.append(f"    {answer.question}  {said.word.upper()}")
        lines.append("")
    lines.append("On the wire, between the pods:")
    answers = [one for c in run.failure.claims for one in (c.as_posted, c.today)]
    for call in dict.fromkeys([answer.shows for answer in answers] + _others(run)):
        lines += _wire(case, call)
    lines += ["", "Sources:", *(f"  {source}" for source in run.failure.sources)]
    lines += ["", f"See it live: make reproduce FAILURE={name}"]
    return "\n".join(_fold(line, width) for line in lines)


def _others(run: replay.RecordedRun) -> list[str]:
    """A readable call beside the secured ones, so that the eye has both."""
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
        f"{seen.record.outcome}",
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


def preview(width: int, cluster: str = "auto") -> str:
    """Before a run: what it will cost if anything is to be built, and the recorded table."""
    from clusters import first_start
    from clusters.stacks import cache

    cost = first_start.cost(cluster)
    if not cost:
        return ""
    made = "Kubernetes and Istio from their Go modules"
    if "kind" in first_start.kinds(cluster):
        made = "what is not here yet of Kubernetes, Istio, kind and its images"
    return "\n".join(
        [
            f"This first start builds {made}:",
            f"about {cost['minutes']:.0f} minutes on two cores, "
            f"{cost['gigabytes_needed']:.0f} GB of disk while it builds, "
            f"{cost['gigabytes_kept']:.1f} GB kept in {cache.root()}.",
            *_or_fetched(first_start.kinds(cluster)),
            "To undo it all: make clean, and remove that folder. Meanwhile, what was seen before:",
            "",
            table(failures.names(), width),
            "",
        ]
    )


def _or_fetched(kinds: Sequence[str]) -> list[str]:
    """Of kind, where nobody chose: a registry that answers spares most of it."""
    if "kind" not in kinds or os.environ.get("LAB_IMAGES"):
        return []
    return ["Where a registry answers, official images are fetched instead, and little is built."]
