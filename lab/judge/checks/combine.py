"""Combines looks and checks into checks.

A result is True, False, or None where nothing can be said; None never turns into a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.model.failure import Check, CheckResult

Look = Callable[[Observation], CheckResult]


def each(*names: str, look: Look) -> Check:
    """The same look at several calls; a call that is not there says nothing."""

    def check(case: Case) -> CheckResult:
        told: dict[CheckResult, list[str]] = {}
        for name in names:
            seen = case.see(name)
            finding = (
                look(seen)
                if seen
                else CheckResult(None, case.unseen(name) or "its last hop is not known")
            )
            told.setdefault(finding, []).append(name)
        return _together(
            [
                CheckResult(f.holds, f"{', '.join(calls)}: {_plainly(f)}")
                for f, calls in told.items()
            ]
        )

    return check


def all_of(*checks: Check) -> Check:
    """All hold; one that fails decides, else one that cannot say."""
    return lambda case: _together([check(case) for check in checks])


def under(mtls: str, world: str, check: Check) -> Check:
    """The check, where that world has this PeerAuthentication mode; elsewhere nothing is asked."""

    def asked(case: Case) -> CheckResult:
        record = case.world(world)
        if record is None:
            return CheckResult(None, f"world {world} has no record")
        return (
            check(case) if record.mtls == mtls else CheckResult(True, f"{world} is {record.mtls}")
        )

    return asked


def _together(findings: list[CheckResult]) -> CheckResult:
    failing = [f for f in findings if f.holds is False]
    unsure = [f for f in findings if f.holds is None]
    told = failing or unsure or findings
    holds = False if failing else None if unsure or not findings else True
    texts = list(dict.fromkeys(f.text for f in told))
    return CheckResult(holds, "; ".join(texts))


def _plainly(finding: CheckResult) -> str:
    """What was expected is told where it is not what was seen."""
    return re.sub(r"^expected .*?(?=saw )", "", finding.text) if finding.holds else finding.text
