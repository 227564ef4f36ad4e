"""The end of a run: its summaries as files, its table on the terminal, its code."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import evidence, report, store
from lab.errors import LabError, NeedsUnmet
from lab.judging import exit_code, judge_all
from lab.verdict import Verdict

if TYPE_CHECKING:
    from lab.runner import Plan


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
    unwritten = _write(wanted, folder, verdicts, missing, code, seconds)
    code = NeedsUnmet.exit_code if unwritten else code
    if verdicts or not isinstance(stopped, LabError | OSError):  # else its sentence says it all
        _show(wanted, folder, verdicts, missing, code, seconds)
    if unwritten and stopped is None:
        raise NeedsUnmet(
            f"the run's summary could not be written: {unwritten.strerror}",
            hint=f"what was recorded until then is in {folder}; {store.ELSEWHERE}",
        )
    return code


def _write(
    wanted: Plan,
    folder: Path,
    verdicts: Sequence[Verdict],
    missing: dict[str, str],
    code: int,
    seconds: float,
) -> OSError | None:
    """The run's summaries; returns why one could not be written."""
    summary = _summary(wanted, folder, verdicts, missing, code, seconds)
    try:
        store.write_json(folder / "summary.json", summary)
        store.write_text(folder / "summary.md", report.markdown(summary, verdicts))
        store.write_text(folder / "junit.xml", report.junit(verdicts, missing, seconds))
        store.link_latest(folder)
    except OSError as error:
        return error
    return None


def _first_line(stopped: BaseException) -> str:
    if isinstance(stopped, KeyboardInterrupt):
        return "the run was interrupted before its verdict"
    return f"the run ended before its verdict: {str(stopped).partition(chr(10))[0]}"


def _summary(
    wanted: Plan,
    folder: Path,
    verdicts: Sequence[Verdict],
    missing: dict[str, str],
    code: int,
    seconds: float,
) -> dict[str, Any]:
    started: dict[str, Any] = {}
    for verdict in verdicts:
        recorded = evidence.load(folder / verdict.failure)
        started["istiod"] = recorded.started.get("pilot-discovery")
        started[verdict.failure] = {
            f"{world.namespace}/{pod.name}": round(pod.envoy_started, 1)
            for world in recorded.worlds.values()
            for pod in world.pods.values()
            if pod.sidecar
        }
    return {
        "run": folder.name,
        "exit_code": code,
        "cluster": wanted.cluster,
        "stack": verdicts[0].stack if verdicts else {},
        "parameters": wanted.values,
        "command": wanted.command,
        "seconds": round(seconds, 1),
        "checkout": store.commit(),
        "started": started,
        "recorded": wanted.cluster == "recorded",
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
            for verdict in verdicts
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
            for verdict in verdicts
        },
        "missing": missing,
    }


def _show(
    wanted: Plan,
    folder: Path,
    verdicts: Sequence[Verdict],
    missing: dict[str, str],
    code: int,
    seconds: float,
) -> None:
    width = min(120, shutil.get_terminal_size((100, 24)).columns)
    stack = verdicts[0].stack if verdicts else {}
    title = f"{wanted.cluster} cluster"
    title += "".join(
        f", {n.capitalize()} {stack[n]}" for n in ("istio", "envoy", "kubernetes") if stack
    )
    if wanted.cluster == "recorded" and verdicts:
        title = f"RECORDED on {verdicts[0].recorded_at[:10]}: {title}"
    print("\n" + report.terminal(verdicts, width, title=title))
    for name, why in missing.items():
        print(f"\n{name}: inconclusive: {why}")
    print("\nTry next:", *_next(wanted, verdicts), sep="\n  ")
    if (folder / "summary.md").exists():
        print(f"\nReport: {_relative(folder / 'summary.md')}  ({seconds:.1f} s)")
    print(f"Exit code {code}: {report.EXPLAINED[code]}")


def _next(wanted: Plan, verdicts: Sequence[Verdict]) -> list[str]:
    """What to type next: first of all why the worst is as it is."""
    first = max(verdicts, key=lambda one: one.exit_code != 0, default=None)
    lines = [f"python -m lab why latest {first.failure}"] if first else []
    lines += wanted.failures[-1].try_next[:1]
    return [*lines, "make lab        # the notebooks"]


def _relative(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
