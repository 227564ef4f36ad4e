"""Describes a packed run: judged again, from the packed files alone."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab import failures
from lab.common import untrusted
from lab.common.errors import BadEvidence
from lab.judge import results, stored
from lab.judge.results import Result
from lab.judge.verdict import Verdict
from lab.model import store
from lab.model.evidence import CallRecord, Evidence

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_LATEST = 253402300800
"""Unix seconds at the end of the year 9999, after which no date can be written."""


@dataclass(frozen=True)
class Checkout:
    """A version of the lab: a commit of its repository."""

    commit: str
    """Empty where it is not known."""
    dirty: bool


@dataclass(frozen=True)
class About:
    """What the packed files of a run say of it."""

    run: str
    verdicts: Sequence[Verdict]
    missing: dict[str, str]
    """Failure -> why there is no verdict."""
    evidence: dict[str, Evidence]
    command: str
    """What to type to repeat the run."""
    recorder: Checkout
    judge: Checkout
    left_out: dict[str, str]
    """Path -> why it is not packed."""

    @cached_property
    def results(self) -> list[Result]:
        return results.list_results(self.verdicts, self.missing)

    @property
    def exit_code(self) -> int:
        return stored.exit_code(self.verdicts, self.missing)

    @property
    def span(self) -> tuple[float, float]:
        """When the first call began and the last ended, Unix seconds; zeros without calls."""
        calls = [call for one in self.evidence.values() for call in one.calls]
        times = [at for call in calls for at in (call.started, call.ended) if 0 < at < _LATEST]
        return (min(times), max(times)) if times else (0.0, 0.0)

    @property
    def seconds(self) -> float:
        began, ended = self.span
        return ended - began

    @property
    def recorded_at(self) -> int:
        """When the newest evidence was recorded, Unix seconds; 0 where none says it."""
        return max((_unix(one.recorded_at) for one in self.evidence.values()), default=0)

    def call(self, result: Result) -> CallRecord | None:
        """Return the call that shows a result; None where there is none."""
        recorded = self.evidence.get(result.failure)
        return recorded.call(result.call) if recorded else None


def describe(folder: Path, left_out: dict[str, str]) -> About:
    """Judge a packed run, and collect what its files say of it.

    left_out: path -> why it is not packed.
    """
    there = [failures.load(name) for name in failures.names() if (folder / name).is_dir()]
    judged, missing = stored.judge_cases(there, folder)
    recorded = {one.verdict.failure: one.case.evidence for one in judged}
    summary = _summary(folder)
    return About(
        folder.name,
        [one.verdict for one in judged],
        missing,
        recorded,
        _command(summary, recorded),
        _checkout(summary.get("checkout")),
        _checkout(store.commit()),
        left_out,
    )


def date(seconds: float) -> str:
    """Format a time (Unix seconds) as ISO 8601, in UTC."""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).isoformat()


def _unix(text: str) -> int:
    try:
        told = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
        return max(0, int(told.replace(tzinfo=datetime.UTC).timestamp()))
    except ValueError:
        return 0


def _summary(folder: Path) -> dict[str, Any]:
    """Read the run's summary; empty where the run ended before it, or it is damaged."""
    try:
        told = untrusted.read_json(folder / "summary.json", folder)
    except BadEvidence:
        return {}
    return told if isinstance(told, dict) else {}


def _checkout(told: object) -> Checkout:
    values = told if isinstance(told, dict) else {}
    commit = values.get("commit")
    known = isinstance(commit, str) and _COMMIT.fullmatch(commit)
    return Checkout(str(commit) if known else "", values.get("dirty") is True)


def _command(summary: dict[str, Any], recorded: dict[str, Evidence]) -> str:
    """Return the command in the run's summary; without one, a command made from the evidence."""
    told = summary.get("command")
    if isinstance(told, str) and told:
        return told[:1000]
    clusters = sorted({one.cluster for one in recorded.values()})
    values = {name: v for one in recorded.values() for name, v in _changed(one).items()}
    words = ["make reproduce", f"FAILURE={','.join(recorded)}"]
    words += [f"PARAMS='{' '.join(f'{k}={v}' for k, v in values.items())}'"] if values else []
    return " ".join([*words, *(f"CLUSTER={cluster}" for cluster in clusters[:1])])


def _changed(one: Evidence) -> dict[str, str]:
    """Return the parameters that are not the failure's defaults."""
    defaults = failures.load(one.failure).parameters
    return {k: v for k, v in one.parameters.items() if k in defaults and defaults[k].default != v}
