"""Combines looks and checks into checks.

A result is True, False, or None where nothing can be said; None never turns into a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.model.failure import Check, CheckResult

Look = Callable[[Observation], CheckResult]


def each(*names: str, look: Look) -> Check:
    """Check several calls with the same look; a call that is not there says nothing."""

    def check(case: Case) -> CheckResult:
        alike: dict[CheckResult, list[str]] = {}
        for name in names:
            seen = case.see(name)
            result = look(seen) if seen else _unseen(case, name)
            alike.setdefault(result, []).append(name)
        return _together(
            CheckResult(result.holds, f"{', '.join(calls)}: {_plainly(result)}")
            for result, calls in alike.items()
        )

    return check


def all_of(*checks: Check) -> Check:
    """Check that all hold; one that fails decides, else one that cannot say."""
    return lambda case: _together(check(case) for check in checks)


def under(mtls: str, world: str, check: Check) -> Check:
    """Check only where a world has this PeerAuthentication mode; elsewhere nothing is asked."""

    def asked(case: Case) -> CheckResult:
        record = case.world(world)
        if record is None:
            return CheckResult(None, f"world {world} has no record")
        if record.mtls != mtls:
            return CheckResult(True, f"{world} is {record.mtls}")
        return check(case)

    return asked


def _unseen(case: Case, name: str) -> CheckResult:
    """Return why nothing can be said of a call."""
    return CheckResult(None, case.unseen(name) or "its last hop is not known")


def _together(results: Iterable[CheckResult]) -> CheckResult:
    """Return one result of several, in the words of those that decide it."""
    found = [*results]
    failing = [one for one in found if one.holds is False]
    unsure = [one for one in found if one.holds is None]
    holds = False if failing else None if unsure or not found else True
    texts = dict.fromkeys(one.text for one in failing or unsure or found)
    return CheckResult(holds, "; ".join(texts))


def _plainly(result: CheckResult) -> str:
    """Return a result's text; what was expected is left out where it is what was seen."""
    return re.sub(r"^expected .*?(?=saw )", "", result.text) if result.holds else result.text
