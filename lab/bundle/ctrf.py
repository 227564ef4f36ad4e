"""Writes CTRF, the Common Test Report Format: https://ctrf.io, schema 0.0.0."""

from __future__ import annotations

from typing import Any

from lab.bundle import about
from lab.bundle.about import About
from lab.judge.results import Result

_STATUS = {"passed": "passed", "failed": "failed", "unsure": "other"}
_STATUSES = ("passed", "failed", "skipped", "pending", "other")


def report(run: About) -> dict[str, Any]:
    """Return a test for each result; its duration is that of the call that shows it."""
    tests = [_test(run, result) for result in run.results]
    began, ended = (_milliseconds(at) for at in run.span)
    counts = {name: sum(one["status"] == name for one in tests) for name in _STATUSES}
    told: dict[str, Any] = {
        "reportFormat": "CTRF",
        "specVersion": "0.0.0",
        "generatedBy": "istio-failure-lab",
        "results": {
            "tool": {"name": "istio-failure-lab"},
            "summary": {"tests": len(tests), **counts, "start": began, "stop": ended},
            "tests": tests,
            "environment": _environment(run),
        },
    }
    if run.recorded_at:
        told["timestamp"] = about.date(run.recorded_at)
    return told


def _test(run: About, result: Result) -> dict[str, Any]:
    call = run.call(result)
    seconds = max(0.0, call.ended - call.started) if call else 0.0
    test: dict[str, Any] = {
        "name": f"{result.failure} {result.name}",
        "status": "skipped" if result.word == "skipped" else _STATUS[result.outcome],
        "duration": _milliseconds(seconds),
        "suite": [result.failure],
        "message": f"{result.message}: {result.why}" if result.word else result.message,
        "extra": {"says": result.says, "word": result.word, "expected": result.expected},
    }
    if result.word:
        test["rawStatus"] = result.word
    return test


def _environment(run: About) -> dict[str, Any]:
    told: dict[str, Any] = {
        "appName": "Istio",
        "reportName": run.run,
        "healthy": run.exit_code == 0,
        "extra": {
            name: {"cluster": one.cluster, "stack": one.stack, "parameters": one.parameters}
            for name, one in run.evidence.items()
        },
    }
    if run.recorder.commit:
        told["commit"] = run.recorder.commit
    return told


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
