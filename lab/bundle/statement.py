"""Writes an in-toto Statement, v1, of type test-result: verdicts, and the files they rest on.

Sources: github.com/in-toto/attestation, spec/v1/statement.md, spec/v1/resource_descriptor.md and
spec/predicates/test-result.md. It is not signed; to sign it, wrap it in a DSSE envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.bundle.about import About, Checkout

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"


def statement(run: About, sums: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, Any]:
    """Return the statement.

    sums: sha256 by path of each file that it speaks of; kept: by path, how it was packed.
    """
    return {
        "_type": TYPE,
        "subject": [
            {"name": path, "digest": {"sha256": sum_}, "annotations": {"kept": kept[path]}}
            for path, sum_ in sorted(sums.items())
        ],
        "predicateType": PREDICATE,
        "predicate": _predicate(run, sums),
    }


def _predicate(run: About, sums: Mapping[str, str]) -> dict[str, Any]:
    """Return the results: PASSED, all as pinned; FAILED, one differs; WARNED, one is unsure."""
    named: dict[str, list[str]] = {"passed": [], "unsure": [], "failed": []}
    for result in run.results:
        # One that is pinned as skipped is as expected, but was not tried.
        list_ = "unsure" if result.word == "skipped" else result.outcome
        named[list_].append(f"{result.failure} {result.name}")
    worst = "FAILED" if named["failed"] else "WARNED" if named["unsure"] else "PASSED"
    return {
        "result": worst if run.results else "WARNED",
        "configuration": _configuration(run, sums),
        "passedTests": named["passed"],
        "warnedTests": named["unsure"],
        "failedTests": named["failed"],
    }


def _configuration(run: About, sums: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the cluster, stack and parameters of each failure, and the versions of the lab."""
    told = [
        {
            "name": f"{name}/evidence.json",
            "digest": {"sha256": sums[f"{name}/evidence.json"]},
            "mediaType": "application/json",
            "annotations": {
                "cluster": one.cluster,
                "stack": one.stack,
                "parameters": one.parameters,
            },
        }
        for name, one in run.evidence.items()
    ]
    return told + _version("recorded by", run.recorder) + _version("judged by", run.judge)


def _version(name: str, lab: Checkout) -> list[dict[str, Any]]:
    if not lab.commit:
        return []
    return [
        {"name": name, "digest": {"gitCommit": lab.commit}, "annotations": {"dirty": lab.dirty}}
    ]
