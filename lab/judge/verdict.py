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

from lab.common.errors import LabError
from lab.judge import disagreements, obstacles
from lab.judge.case import Case
from lab.judge.proof import Proof, proof
from lab.model.failure import (
    Answer,
    Check,
    CheckResult,
    Claim,
    Remedy,
    RemedyWord,
    Word,
)
from lab.model.pins import Pin
from lab.model.scenario import STEPS

Agreement = Literal["as pinned", "differs", "unsure", "new"]
"""differs: a word that could be said is another; unsure: no more than that one could not."""
_SAYS_NOTHING = ("inconclusive", "skipped")


@dataclass(frozen=True)
class Said:
    """One answer, what was seen that led to it, and the call that shows it."""

    word: Word
    why: str
    proof: Proof | None
    graph: str = ""
    """Of a claim that was read off a missing lock: the wire and the graphs, in a sentence."""


@dataclass(frozen=True)
class ClaimVerdict:
    """Both answers to one claim, beside what they are known to be."""

    id: str
    says: str
    as_posted: Said
    today: Said
    agreement: Agreement
    pinned: tuple[str, ...] | None
    pin_why: str

    @property
    def inconclusive(self) -> bool:
        return "inconclusive" in self.words

    @property
    def words(self) -> tuple[str, ...]:
        """The words of both answers, in the order in which a pin has them."""
        return (self.as_posted.word, self.today.word)

    @property
    def proof(self) -> Proof | None:
        """Of the answer to the post's own request."""
        return self.as_posted.proof

    @property
    def answers(self) -> tuple[tuple[str, Said], ...]:
        """Each answer by its name."""
        return (("as posted", self.as_posted), ("today's form", self.today))


@dataclass(frozen=True)
class RemedyVerdict:
    """Whether a remedy heals, and what is on the wire with it."""

    name: str
    claim: str
    says: str
    price: str
    word: RemedyWord
    why: str
    agreement: Agreement
    pinned: tuple[str, ...] | None
    pin_why: str
    proof: Proof | None
    """Of the call with the remedy in force."""

    @property
    def words(self) -> tuple[str, ...]:
        """The one word, as a pin has it."""
        return (self.word,)

    @property
    def inconclusive(self) -> bool:
        return self.word == "inconclusive"


@dataclass(frozen=True)
class CellVerdict:
    """One cell of the truth table, beside what is pinned of it."""

    name: str
    word: str
    """What became of its call, in words; `inconclusive` where that could not be found out."""
    why: str
    agreement: Agreement
    pinned: tuple[str, ...] | None
    pin_why: str
    says: str = "the call is answered as in the recorded table"


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
    unusual: tuple[str, ...]
    """Settings of the mesh that are not Istio's defaults, and may be why a word surprises."""
    claims: tuple[ClaimVerdict, ...]
    remedies: tuple[RemedyVerdict, ...]
    cells: tuple[CellVerdict, ...] = ()
    """Of the truth table; a failure has none."""

    @property
    def said(self) -> tuple[ClaimVerdict | RemedyVerdict, ...]:
        """Each claim and each remedy."""
        return (*self.claims, *self.remedies)

    @property
    def drifted(self) -> tuple[CellVerdict, ...]:
        """The cells of which something is pinned, and that are not as pinned."""
        return tuple(one for one in self.cells if one.agreement in ("differs", "unsure"))

    @property
    def exit_code(self) -> int:
        """0: all as pinned; 1: one differs; 3: one is inconclusive or new."""
        agreements = {one.agreement for one in (*self.said, *self.cells)}
        return 1 if "differs" in agreements else 3 if agreements - {"as pinned"} else 0


def judge(case: Case) -> Verdict:
    """Judge one failure's evidence; nothing is read but the case and its files."""
    failure, evidence = case.failure, case.evidence
    controls = [(c.says, *_result(case, c.check)) for c in failure.controls]
    needed = [
        told
        for control, told in zip(failure.controls, controls, strict=True)
        if not (control.plane == "wire" and told[1] is None and case.wire_refused)
    ]
    unmet, unusual = obstacles.settings(failure, evidence.mesh)
    obstacle = (
        unmet or obstacles.altered(evidence, case.folder) or obstacles.obstacle(evidence, needed)
    )
    return Verdict(
        failure=failure.name,
        title=failure.title,
        run=evidence.run,
        recorded_at=evidence.recorded_at,
        cluster=evidence.cluster,
        stack=dict(evidence.stack),
        parameters=dict(evidence.parameters),
        controls=tuple(controls),
        unusual=unusual,
        claims=tuple(_claim(case, claim, obstacle) for claim in failure.claims),
        remedies=tuple(_remedy(case, remedy, obstacle) for remedy in failure.remedies),
    )


def _result(case: Case, check: Any) -> tuple[bool | None, str]:
    """Return what a check says; a crash of our own code says nothing about the mesh."""
    try:
        found: CheckResult = check(case)
        return found.holds, found.text
    except LabError as problem:
        return None, str(problem)
    except Exception as crash:
        where = traceback.extract_tb(crash.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return None, f"the check itself failed at {place}: {type(crash).__name__}: {crash}"


def _claim(case: Case, claim: Claim, obstacle: str) -> ClaimVerdict:
    as_posted, today = (_say(case, a, obstacle) for a in (claim.as_posted, claim.today))
    if claim.missing_lock:
        as_posted = dataclasses.replace(as_posted, graph=_beside_the_wire(as_posted))
    pin = _pin(case, claim.id)
    return ClaimVerdict(
        claim.id,
        claim.says,
        as_posted,
        today,
        agrees(pin, as_posted.word, today.word),
        pin.words if pin else None,
        pin.why if pin else "",
    )


def _pin(case: Case, of: str) -> Pin | None:
    evidence = case.evidence
    defaults = {name: p.default for name, p in case.failure.parameters.items()}
    if evidence.parameters != defaults:
        return None  # another experiment: nothing is known of it
    istio, envoy = (evidence.stack.get(name, "") for name in ("istio", "envoy"))
    return case.failure.pin(of, istio, envoy, evidence.cluster)


def agrees(pin: Pin | None, *words: str) -> Agreement:
    """Return how these words go with what is pinned."""
    if pin is None:
        return "new"
    pairs = list(zip(words, pin.words, strict=True))
    if any(word not in (pinned, *_SAYS_NOTHING) for word, pinned in pairs):
        return "differs"
    return "as pinned" if words == pin.words else "unsure"


def _remedy(case: Case, remedy: Remedy, obstacle: str) -> RemedyVerdict:
    word, why = _not_here(case, remedy) or _heals(case, remedy, obstacle)
    pin = _pin(case, remedy.name)
    return RemedyVerdict(
        remedy.name,
        remedy.claim,
        remedy.says,
        remedy.price,
        word,
        why,
        agrees(pin, word),
        pin.words if pin else None,
        pin.why if pin else "",
        proof(case, f"{remedy.name}:changed"),
    )


def _not_here(case: Case, remedy: Remedy) -> tuple[RemedyWord, str] | None:
    why = case.evidence.skipped.get(remedy.name)
    return ("skipped", why) if why else None


def _heals(case: Case, remedy: Remedy, obstacle: str) -> tuple[RemedyWord, str]:
    """Return whether the call is broken, healed, and broken again when it is taken back."""
    obstacle = obstacle or case.evidence.untried.get(remedy.name, "")
    if obstacle:
        return "inconclusive", obstacle
    first, changed, last = (f"{remedy.name}:{step}" for step in STEPS)
    fails, told = _result(case, remedy.broken(first))
    healed, seen = _result(case, remedy.healed(changed))
    if not fails:
        well, also = _result(case, remedy.healed(first)) if fails is False else (None, "")
        why = "; ".join(filter(None, (told, also)))
        return "not needed" if well and healed else "inconclusive", f"as it is: {why}"
    again, back = _result(case, remedy.broken(last))
    if not again:
        return "inconclusive", f"taken back, it is not as it was: {back}"
    if healed:
        return "heals", f"with it: {seen}; taken back: {back}"
    still, failing = _result(case, remedy.broken(changed))
    if healed is False and still:
        return "does not heal", f"with it, still: {failing}"
    return "inconclusive", f"with it neither healed ({seen}) nor as before ({failing})"


def _beside_the_wire(said: Said) -> str:
    graphs = said.proof.graphs if said.proof else ()
    silent = said.word in _SAYS_NOTHING or not graphs
    return "" if silent else disagreements.beside_the_wire(said.word, graphs)


def _say(case: Case, answer: Answer, obstacle: str) -> Said:
    said: tuple[Word, str] = ("inconclusive", obstacle)
    if not obstacle:
        said = _skipped(case, answer) or _answer(case, answer)
    return Said(*said, proof(case, answer.shows))


def _skipped(case: Case, answer: Answer) -> tuple[Word, str] | None:
    """Return `skipped` where the remedy that the answer needs is not for this kind of cluster."""
    why = case.evidence.skipped.get(answer.shows.partition(":")[0])
    return ("skipped", why) if why else None


def _answer(case: Case, answer: Answer) -> tuple[Word, str]:
    holds, text = _result(case, answer.reproduced)
    if holds is None:
        return "inconclusive", text
    if holds:
        return "reproduced", text
    others: tuple[tuple[Word, Check | None], ...] = (
        ("fails otherwise", answer.otherwise),
        ("not reproduced", answer.instead),
    )
    for word, check in others:
        if check:
            found, told = _result(case, check)
            if found:
                return word, told
    return "inconclusive", f"not as the post says ({text}), and nothing else is proven"


def to_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as verdict.json holds it."""
    return {**dataclasses.asdict(verdict), "exit_code": verdict.exit_code}
