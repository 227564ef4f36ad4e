"""The end of a run: its summaries as files, its table on the terminal, its exit code."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.common import files, places
from lab.common.errors import LabError, NeedsUnmet
from lab.common.text import printable
from lab.judge.stored import exit_code, judge_all
from lab.judge.verdict import ClaimVerdict, RemedyVerdict, Verdict
from lab.model import evidence, store
from lab.render import junit, tables, wording
from lab.truth_table import verdict as cells

if TYPE_CHECKING:
    from lab.commands.plan import Plan
    from lab.report.draftsman import Draftsman


@dataclass(frozen=True)
class _End:
    """A run that is over, judged."""

    wanted: Plan
    folder: Path
    verdicts: Sequence[Verdict]
    missing: dict[str, str]
    code: int
    seconds: float


def finish(
    wanted: Plan,
    folder: Path,
    seconds: float,
    stopped: BaseException | None = None,
    drawing: Draftsman | None = None,
) -> int:
    """Judge what is stored, write summaries, show the table; return the exit code.

    stopped: what ended the run early, if anything did; it decides the code. drawing: who has drawn
    figures meanwhile. Raises NeedsUnmet where the summaries cannot be written and nothing else
    ended the run.
    """
    verdicts, missing = judge_all(wanted.failures, folder)
    if wanted.cells:
        of_cells, without = cells.of_run(folder)
        verdicts, missing = [*verdicts, *of_cells], missing | without
    code = exit_code(verdicts, missing)
    if stopped is not None:
        code = stopped.exit_code if isinstance(stopped, LabError) else 255
        missing = dict.fromkeys(missing, _first_line(stopped))
    end = _End(wanted, folder, verdicts, missing, code, seconds)
    unwritten = _write(end)
    if unwritten:
        end = replace(end, code=NeedsUnmet.exit_code)
    if verdicts or not isinstance(stopped, LabError | OSError):  # else its sentence says it all
        _show(end, drawing)
    if unwritten and stopped is None:
        raise NeedsUnmet(
            f"the run's summary could not be written: {unwritten.strerror}",
            hint=f"what was recorded until then is in {folder}; {store.ELSEWHERE}",
        )
    return end.code


def _write(end: _End) -> OSError | None:
    """Write the run's summaries; return why one could not be written, or None."""
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
    return {
        "run": end.folder.name,
        "exit_code": end.code,
        "cluster": end.wanted.cluster,
        "stack": end.verdicts[0].stack if end.verdicts else {},
        "parameters": end.wanted.values,
        "command": end.wanted.command,
        "seconds": round(end.seconds, 1),
        "checkout": store.commit(),
        "started": _started(end),
        "recorded": end.wanted.replayed,
        "verdicts": {
            verdict.failure: {claim.id: _claim(claim) for claim in verdict.claims}
            for verdict in end.verdicts
        },
        "remedies": {
            verdict.failure: {remedy.name: _remedy(remedy) for remedy in verdict.remedies}
            for verdict in end.verdicts
        },
        "cells": {
            verdict.failure: {one.name: one.agreement for one in verdict.cells}
            for verdict in end.verdicts
            if verdict.cells
        },
        "missing": end.missing,
    }


def _claim(claim: ClaimVerdict) -> dict[str, Any]:
    return {
        "as_posted": claim.as_posted.word,
        "today": claim.today.word,
        "wire": [said.proof and said.proof.security for _, said in claim.answers],
        "agreement": claim.agreement,
    }


def _remedy(remedy: RemedyVerdict) -> dict[str, Any]:
    return {
        "word": remedy.word,
        "wire": remedy.proof.security if remedy.proof else None,
        "agreement": remedy.agreement,
    }


def _started(end: _End) -> dict[str, Any]:
    """Return when istiod and each Envoy started: Unix time, seconds."""
    started: dict[str, Any] = {}
    for verdict in end.verdicts:
        if verdict.cells:
            continue  # its pods are in its table.json
        recorded = evidence.load(end.folder / verdict.failure)
        started["istiod"] = recorded.started.get("pilot-discovery")
        started[verdict.failure] = {
            f"{world.namespace}/{pod.name}": round(pod.envoy_started, 1)
            for world in recorded.worlds.values()
            for pod in world.pods.values()
            if pod.sidecar
        }
    return started


def _show(end: _End, drawing: Draftsman | None) -> None:
    width = min(120, shutil.get_terminal_size((100, 24)).columns)
    stack = end.verdicts[0].stack if end.verdicts else {}
    title = f"{end.wanted.cluster} cluster"
    title += "".join(
        f", {n.capitalize()} {stack[n]}" for n in ("istio", "envoy", "kubernetes") if stack
    )
    if end.wanted.replayed and end.verdicts:
        title = f"RECORDED on {end.verdicts[0].recorded_at[:10]}: {title}"
    print("\n" + tables.terminal(end.verdicts, width, title=title))
    for name, why in end.missing.items():
        print(f"\n{name}: inconclusive: {why}")
    print("\nTry next:", *_next(end.wanted, end.verdicts), sep="\n  ")
    if (end.folder / "summary.md").exists():
        _show_report(end, drawing)
    print(f"Exit code {end.code}: {wording.EXPLAINED[end.code]}")


def _show_report(end: _End, drawing: Draftsman | None) -> None:
    """Write the page, and print its path, or in a sentence why it could not be written."""
    from lab.report import page

    written, why = page.last_words([end.folder], drawing.drawn() if drawing else None)
    if why:
        print(f"\nThe report is its summary alone: {printable(why)}")
    shown = written or end.folder / "summary.md"
    print(f"\nReport: {store.from_here(shown)}  ({end.seconds:.1f} s)")


def _next(wanted: Plan, verdicts: Sequence[Verdict]) -> list[str]:
    """Return what to type next: first, what explains the worst verdict."""
    first = max(verdicts, key=lambda one: one.exit_code != 0, default=None)
    lines = [f"istio-lab why latest {first.failure}"] if first else []
    for failure in wanted.failures[-1:]:
        other = failure.other_parameter
        option = " --params " if places.INSTALLED else " PARAMS="
        params = f"{option}{shlex.quote(other)}" if other else ""
        lines.append(f"{places.reproduce(failure.name)}{params}")
    shown = "istio-lab notebooks FOLDER" if places.INSTALLED else "make lab       "
    return [*lines, f"{shown} # the notebooks"]
