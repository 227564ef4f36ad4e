"""The end of a run: its summaries as files, its table on the terminal, its code."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.common import files
from lab.common.errors import LabError, NeedsUnmet
from lab.common.text import printable
from lab.judge.stored import exit_code, judge_all
from lab.judge.verdict import Verdict
from lab.model import evidence, store
from lab.render import junit, tables, wording

if TYPE_CHECKING:
    from lab.commands.plan import Plan


@dataclass(frozen=True)
class _End:
    """What there is to be said when a run is over."""

    wanted: Plan
    folder: Path
    verdicts: Sequence[Verdict]
    missing: dict[str, str]
    code: int
    seconds: float


def finish(wanted: Plan, folder: Path, seconds: float, stopped: BaseException | None = None) -> int:
    """Judge what is stored, write summaries, show the table; returns the exit code.

    stopped: what ended the run before its time, if anything did; that is the code then. Raises
    NeedsUnmet where the summaries cannot be written, and nothing else ended it.
    """
    verdicts, missing = judge_all(wanted.failures, folder)
    code = exit_code(verdicts, missing)
    if stopped is not None:
        code = stopped.exit_code if isinstance(stopped, LabError) else 255
        missing = dict.fromkeys(missing, _first_line(stopped))
    end = _End(wanted, folder, verdicts, missing, code, seconds)
    unwritten = _write(end)
    if unwritten:
        end = replace(end, code=NeedsUnmet.exit_code)
    if verdicts or not isinstance(stopped, LabError | OSError):  # else its sentence says it all
        _show(end)
    if unwritten and stopped is None:
        raise NeedsUnmet(
            f"the run's summary could not be written: {unwritten.strerror}",
            hint=f"what was recorded until then is in {folder}; {store.ELSEWHERE}",
        )
    return end.code


def _write(end: _End) -> OSError | None:
    """The run's summaries; returns why one could not be written."""
    summary = _summary(end)
    try:
        files.write_json(end.folder / "summary.json", summary)
        files.write_text(end.folder / "summary.md", tables.markdown(summary, end.verdicts))
        files.write_text(
            end.folder / "junit.xml", junit.junit(end.verdicts, end.missing, end.seconds)
        )
        store.link_latest(end.folder)
    except OSError as error:
        return error
    return None


def _first_line(stopped: BaseException) -> str:
    if isinstance(stopped, KeyboardInterrupt):
        return "the run was interrupted before its verdict"
    return f"the run ended before its verdict: {str(stopped).partition(chr(10))[0]}"


def _summary(end: _End) -> dict[str, Any]:
    started: dict[str, Any] = {}
    for verdict in end.verdicts:
        recorded = evidence.load(end.folder / verdict.failure)
        started["istiod"] = recorded.started.get("pilot-discovery")
        started[verdict.failure] = {
            f"{world.namespace}/{pod.name}": round(pod.envoy_started, 1)
            for world in recorded.worlds.values()
            for pod in world.pods.values()
            if pod.sidecar
        }
    return {
        "run": end.folder.name,
        "exit_code": end.code,
        "cluster": end.wanted.cluster,
        "stack": end.verdicts[0].stack if end.verdicts else {},
        "parameters": end.wanted.values,
        "command": end.wanted.command,
        "seconds": round(end.seconds, 1),
        "checkout": store.commit(),
        "started": started,
        "recorded": end.wanted.cluster == "recorded",
        "verdicts": {
            verdict.failure: {
                claim.id: {
                    "as_posted": claim.as_posted.word,
                    "today": claim.today.word,
                    "wire": [said.proof and said.proof.security for _, said in claim.answers],
                    "agreement": claim.agreement,
                }
                for claim in verdict.claims
            }
            for verdict in end.verdicts
        },
        "remedies": {
            verdict.failure: {
                remedy.name: {
                    "word": remedy.word,
                    "wire": remedy.proof.security if remedy.proof else None,
                    "agreement": remedy.agreement,
                }
                for remedy in verdict.remedies
            }
            for verdict in end.verdicts
        },
        "missing": end.missing,
    }


def _show(end: _End) -> None:
    width = min(120, shutil.get_terminal_size((100, 24)).columns)
    stack = end.verdicts[0].stack if end.verdicts else {}
    title = f"{end.wanted.cluster} cluster"
    title += "".join(
        f", {n.capitalize()} {stack[n]}" for n in ("istio", "envoy", "kubernetes") if stack
    )
    if end.wanted.cluster == "recorded" and end.verdicts:
        title = f"RECORDED on {end.verdicts[0].recorded_at[:10]}: {title}"
    print("\n" + tables.terminal(end.verdicts, width, title=title))
    for name, why in end.missing.items():
        print(f"\n{name}: inconclusive: {why}")
    print("\nTry next:", *_next(end.wanted, end.verdicts), sep="\n  ")
    if (end.folder / "summary.md").exists():
        _show_report(end)
    print(f"Exit code {end.code}: {wording.EXPLAINED[end.code]}")


def _show_report(end: _End) -> None:
    """Write the page, and print its path; whatever keeps it from being written is a sentence."""
    from lab.report import page

    written, why = page.last_words([end.folder])
    if why:
        print(f"\nThe report is its summary alone: {printable(why)}")
    shown = written or end.folder / "summary.md"
    print(f"\nReport: {store.from_here(shown)}  ({end.seconds:.1f} s)")


def _next(wanted: Plan, verdicts: Sequence[Verdict]) -> list[str]:
    """What to type next: first of all why the worst is as it is."""
    first = max(verdicts, key=lambda one: one.exit_code != 0, default=None)
    lines = [f"istio-lab why latest {first.failure}"] if first else []
    lines += wanted.failures[-1].try_next[:1]
    return [*lines, "make lab        # the notebooks"]
