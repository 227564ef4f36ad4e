"""A run's verdicts as results of tests: one for each answer to a claim, one for each remedy.

JUnit, CTRF and the in-toto statement tell the same list, each in its own form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from lab.judge.verdict import ClaimVerdict, RemedyVerdict, Said, Verdict

Outcome = Literal["passed", "failed", "unsure"]


@dataclass(frozen=True)
class Result:
    """One answer, beside what is pinned."""

    failure: str
    name: str
    """`C2 as posted`, `remedy tcp-name`, `cell h2/http/strict/sidecar`, or `verdict` where there
    is none."""
    says: str
    """What the post claims, or what the remedy does."""
    word: str
    """Empty where there is no verdict."""
    expected: str
    """Empty where nothing is pinned."""
    why: str
    call: str
    """The call that shows it; empty without one."""

    @property
    def outcome(self) -> Outcome:
        """passed: as pinned; failed: certainly otherwise; unsure: no pin, or nothing was said."""
        if self.expected and self.word == self.expected:
            return "passed"
        certain = self.word not in ("inconclusive", "skipped", "")
        return "failed" if self.expected and certain else "unsure"

    @property
    def message(self) -> str:
        """The word beside the one that was expected."""
        expected = self.expected or "nothing: no pin for this stack"
        return f"{self.word}, expected {expected}" if self.word else self.why


def list_results(verdicts: Iterable[Verdict], missing: Mapping[str, str]) -> list[Result]:
    """Return every result in the order of the failures' files; those without a verdict last."""
    found = [result for verdict in verdicts for result in _results(verdict)]
    return found + [Result(name, "verdict", "", "", "", why, "") for name, why in missing.items()]


def _results(verdict: Verdict) -> Iterator[Result]:
    for claim in verdict.claims:
        for (name, said), expected in zip(claim.answers, claim.pinned or ("", ""), strict=True):
            yield _result(verdict, f"{claim.id} {name}", claim, said, expected)
    for remedy in verdict.remedies:
        expected = (remedy.pinned or ("",))[0]
        yield _result(verdict, f"remedy {remedy.name}", remedy, remedy, expected)
    for cell in verdict.cells:
        told = (f"cell {cell.name}", cell.says, cell.word, (cell.pinned or ("",))[0], cell.why)
        yield Result(verdict.failure, *told, call="")


def _result(
    verdict: Verdict,
    name: str,
    of_what: ClaimVerdict | RemedyVerdict,
    said: Said | RemedyVerdict,
    expected: str,
) -> Result:
    call = said.proof.call if said.proof else ""
    return Result(verdict.failure, name, of_what.says, said.word, expected, said.why, call)
