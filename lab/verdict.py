"""From stored evidence to verdicts: pure, offline, and strict.

A claim is judged only where every control holds and every proxy took its whole
configuration; whatever cannot be said is inconclusive, and says why.
"""

from __future__ import annotations

import dataclasses
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lab.checks import Finding
from lab.evidence import Evidence, digest
from lab.failure import Answer, Claim, Failure, Word
from lab.observe import Case

Agreement = Literal["as pinned", "differs", "new"]


@dataclass(frozen=True)
class Said:
    """One answer, and what was seen that led to it."""

    word: Word
    why: str


@dataclass(frozen=True)
class Proof:
    """What one call shows, for a person: what was sent, and what crossed the wire."""

    typed: str
    security: str
    first_bytes: str
    first_text: str
    sni: str
    marker: str
    marker_count: int
    client_bytes: int
    peer: str
    why: str


@dataclass(frozen=True)
class ClaimVerdict:
    """Both answers to one claim, beside what they are known to be."""

    id: str
    says: str
    as_posted: Said
    today: Said
    agreement: Agreement
    pinned: tuple[str, str] | None
    pin_why: str
    proof: Proof | None

    @property
    def inconclusive(self) -> bool:
        return "inconclusive" in (self.as_posted.word, self.today.word)


@dataclass(frozen=True)
class Verdict:
    """Everything that the lab says of one failure in one run."""

    failure: str
    title: str
    run: str
    recorded_at: str
    cluster: str
    stack: dict[str, str]
    parameters: dict[str, str]
    controls: tuple[tuple[str, bool | None, str], ...]
    """(what must hold, whether it does, what was seen)"""
    claims: tuple[ClaimVerdict, ...]

    @property
    def exit_code(self) -> int:
        """0: all as pinned; 1: one differs; 3: one is inconclusive or new."""
        if any(c.agreement == "differs" and not c.inconclusive for c in self.claims):
            return 1
        return 3 if any(c.inconclusive or c.agreement == "new" for c in self.claims) else 0


def judge(failure: Failure, evidence: Evidence, folder: Path) -> Verdict:
    """Judge one failure's evidence; `folder` holds its captures and logs."""
    case = Case(failure, evidence, folder)
    controls = [(c.says, *_finding(case, c.check)) for c in failure.controls]
    obstacle = _altered(evidence, folder) or _obstacle(evidence, controls)
    return Verdict(
        failure.name,
        failure.title,
        evidence.run,
        evidence.recorded_at,
        evidence.cluster,
        dict(evidence.stack),
        dict(evidence.parameters),
        tuple(controls),
        tuple(_claim(case, claim, obstacle) for claim in failure.claims),
    )


def _altered(evidence: Evidence, folder: Path) -> str:
    """The first capture that is not the one that was recorded, or nothing."""
    for world in evidence.worlds.values():
        for capture in world.captures:
            path = folder / capture.file
            if not path.is_file():
                return f"{capture.file} is missing"
            if digest(path) != capture.sha256:
                return f"{capture.file} is not what was recorded: its sha256 differs"
    return ""


def _obstacle(evidence: Evidence, controls: list[tuple[str, bool | None, str]]) -> str:
    """Why nothing may be concluded from this evidence, or nothing."""
    if evidence.problems:
        return "; ".join(evidence.problems)
    for world in evidence.worlds.values():
        for name, pod in world.pods.items():
            if pod.sidecar and (pod.rejected, pod.unknown_fields) != (0, 0):
                return (
                    f"the proxy of {name} in {world.namespace} did not take its configuration "
                    f"(rejected {pod.rejected}, unknown fields {pod.unknown_fields})"
                )
    broken = [f"control failed: {says}: {text}" for says, holds, text in controls if not holds]
    return "; ".join(broken)


def _finding(case: Case, check: Any) -> tuple[bool | None, str]:
    """A check's finding; a crash of our own code says nothing about the mesh."""
    try:
        found: Finding = check(case)
        return found.holds, found.text
    except Exception as crash:
        where = traceback.extract_tb(crash.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return None, f"the check itself failed at {place}: {type(crash).__name__}: {crash}"


def _claim(case: Case, claim: Claim, obstacle: str) -> ClaimVerdict:
    evidence = case.evidence
    as_posted, today = (_say(case, a, obstacle) for a in (claim.as_posted, claim.today))
    pin = case.failure.pin(claim.id, evidence.stack.get("istio", ""), evidence.cluster)
    defaults = {name: p.default for name, p in case.failure.parameters.items()}
    if evidence.parameters != defaults:
        pin = None  # another experiment: nothing is known of it
    words = (as_posted.word, today.word)
    agreement: Agreement = "new"
    if pin:
        agreement = "as pinned" if words == (pin.as_posted, pin.today) else "differs"
    return ClaimVerdict(
        claim.id,
        claim.says,
        as_posted,
        today,
        agreement,
        (pin.as_posted, pin.today) if pin else None,
        pin.why if pin else "",
        _proof(case, claim.shows),
    )


def _say(case: Case, answer: Answer, obstacle: str) -> Said:
    if obstacle:
        return Said("inconclusive", obstacle)
    holds, text = _finding(case, answer.reproduced)
    if holds is None:
        return Said("inconclusive", text)
    if holds:
        return Said("reproduced", text)
    for word, check in (("fails otherwise", answer.otherwise), ("not reproduced", answer.instead)):
        if check:
            found, told = _finding(case, check)
            if found:
                return Said(word, told)  # type: ignore[arg-type]
    return Said("inconclusive", f"not as the post says ({text}), and nothing else is proven")


def _proof(case: Case, name: str) -> Proof | None:
    try:
        seen = case.see(name)
    except Exception:
        return None
    if seen is None:
        return None
    facts = seen.wire.facts
    first = bytes.fromhex(str(facts.get("first_bytes", "")))
    return Proof(
        seen.record.typed,
        seen.security,
        first.hex(" "),
        "".join(chr(b) if 32 <= b < 127 else "." for b in first),
        str(facts.get("sni", "")),
        seen.record.marker,
        seen.marker_count,
        int(str(facts.get("client_bytes", 0))),
        str(seen.server.facts.get("peer") or ""),
        seen.wire.why,
    )


def to_json(verdict: Verdict) -> dict[str, Any]:
    """As verdict.json holds it."""
    return {**dataclasses.asdict(verdict), "exit_code": verdict.exit_code}
