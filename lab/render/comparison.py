"""Where two runs agree and differ: per failure, claim, remedy and plane.

Both runs' evidence is judged by today's judge, so that evidence is compared and not what was
concluded of it at its time. Nothing here reads a file: verdicts in, `Comparison` and text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lab.judge.proof import Proof
from lab.judge.verdict import ClaimVerdict, RemedyVerdict, Verdict
from lab.planes import wire

State = Literal["same", "differs", "cannot say"]
STATES: tuple[State, ...] = ("differs", "cannot say", "same")
"""The one that says most of two runs first."""
Held = Literal["judged", "unreadable", "absent"]
NO_RECORD = "no record"
_NOTHING_SAID = {"inconclusive", "skipped", NO_RECORD}


@dataclass(frozen=True)
class Run:
    """One side of a comparison: a run's evidence as it is judged now."""

    name: str
    verdicts: tuple[Verdict, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Failure -> why its evidence cannot be judged."""

    def verdict(self, failure: str) -> Verdict | None:
        return next((one for one in self.verdicts if one.failure == failure), None)

    def holds(self, failure: str) -> Held:
        """Return what there is of a failure in this run."""
        if self.verdict(failure):
            return "judged"
        return "unreadable" if failure in self.unreadable else "absent"


@dataclass(frozen=True)
class Pair:
    """One question, and what each run's evidence answers."""

    what: str
    """`as posted`, `today's form`, `does it heal`, or a plane's source."""
    left: str
    right: str
    left_why: str
    right_why: str

    @property
    def state(self) -> State:
        """An answer that is none is neither the same as another nor different from it.

        Only planes say `unknown`, and of some calls always do: twice unknown is the same.
        """
        said = {self.left, self.right}
        if len(said) == 1 and not said & _NOTHING_SAID:
            return "same"
        return "cannot say" if said & {*_NOTHING_SAID, "unknown"} else "differs"


@dataclass(frozen=True)
class Compared:
    """One claim or remedy in both runs."""

    failure: str
    name: str
    says: str
    kind: Literal["claim", "remedy"]
    answers: tuple[Pair, ...]
    """Of a claim as posted and today's form; of a remedy whether it heals."""
    planes: tuple[Pair, ...]
    """Of the call that shows it, by source."""
    wire: Pair
    """Packets and the server's proxy together, as the verdicts' table has it."""

    @property
    def title(self) -> str:
        return self.name if self.kind == "claim" else f"remedy {self.name}"

    def label(self, pair: Pair) -> str:
        """Return the name of one answer: `C2 as posted`, `remedy strict`."""
        return f"{self.title} {pair.what}" if self.kind == "claim" else self.title

    def answered(self, state: State) -> str:
        """Return its answers in that state, by name; nothing where there is none."""
        answers = [pair.what for pair in self.answers if pair.state == state]
        if not answers or self.kind == "remedy":
            return self.title if answers else ""
        return f"{self.title} {' and '.join(answers)}"

    @property
    def state(self) -> State:
        """`differs` where anything does, else `cannot say` where anything cannot be said."""
        states = {pair.state for pair in (*self.answers, *self.planes)}
        return next((one for one in STATES if one in states), "same")

    def pairs_in(self, state: State) -> tuple[Pair, ...]:
        """Return its answers and planes in that state."""
        return tuple(pair for pair in (*self.answers, *self.planes) if pair.state == state)


@dataclass(frozen=True)
class Apart:
    """A failure that cannot be compared, since not both runs have it."""

    failure: str
    left: Held
    right: Held
    why: str

    @property
    def told(self) -> str:
        """In words, without the reasons."""
        held = {"left": self.left, "right": self.right}
        broken = [side for side, state in held.items() if state == "unreadable"]
        if broken:
            return f"{' and '.join(broken)} cannot be judged"
        return f"only {'left' if self.left == 'judged' else 'right'} has it"


@dataclass(frozen=True)
class Comparison:
    """Two runs, side by side."""

    left: Run
    right: Run
    rows: tuple[Compared, ...]
    apart: tuple[Apart, ...]

    @property
    def exit_code(self) -> int:
        """0: no difference; 1: something differs; 3: something could not be compared."""
        if any(row.pairs_in("differs") for row in self.rows):
            return 1
        unsure = self.apart or any(row.pairs_in("cannot say") for row in self.rows)
        return 3 if unsure or not self.rows else 0

    @property
    def planes(self) -> tuple[Pair, ...]:
        return tuple(pair for row in self.rows for pair in row.planes)

    @property
    def sentence(self) -> str:
        """`No difference`, or what differs and what cannot be compared, by name."""
        differing, unsure = self._named("differs"), self._named("cannot say")
        unsure += [f"{one.failure} ({one.told})" for one in self.apart]
        if not self.rows and not unsure:
            return "Nothing was compared: neither run has evidence of any failure."
        if not differing and not unsure:
            answers = sum(len(row.answers) for row in self.rows)
            return f"No difference: {answers} answers and {len(self.planes)} plane answers agree."
        told = f"What differs: {', '.join(differing)}" if differing else "No difference was found"
        return told + (f"; what cannot be compared: {', '.join(unsure)}." if unsure else ".")

    def _named(self, state: State) -> list[str]:
        """Return each failure with those of its claims and remedies that are in a state.

        Planes are named only where they are all that is so: an answer is read from them.
        """
        found = []
        for failure in dict.fromkeys(row.failure for row in self.rows):
            rows = [row for row in self.rows if row.failure == failure and row.pairs_in(state)]
            answers = [row.answered(state) for row in rows if row.answered(state)]
            planes = [row.title for row in rows if not row.answered(state)]
            parts = [", ".join(answers)] if answers else []
            parts += [f"planes of {', '.join(planes)}"] if planes else []
            found += [f"{failure} ({'; '.join(parts)})"] if parts else []
        return found


def compare(left: Run, right: Run) -> Comparison:
    """Put two runs side by side, failure by failure."""
    rows: list[Compared] = []
    apart: list[Apart] = []
    for failure in sorted(_failures(left) | _failures(right)):
        one, other = left.verdict(failure), right.verdict(failure)
        if one and other:
            rows += _rows(one, other)
        else:
            apart.append(_apart(failure, left, right))
    return Comparison(left, right, tuple(rows), tuple(apart))


def _failures(run: Run) -> set[str]:
    return {verdict.failure for verdict in run.verdicts} | set(run.unreadable)


def _apart(failure: str, left: Run, right: Run) -> Apart:
    sides = (("left", left), ("right", right))
    why = [f"{side}: {run.unreadable[failure]}" for side, run in sides if failure in run.unreadable]
    return Apart(failure, left.holds(failure), right.holds(failure), "; ".join(why))


def _rows(left: Verdict, right: Verdict) -> Iterable[Compared]:
    """Yield every claim and remedy of either verdict, in the order of the failure's file."""
    ours, theirs = ({_key(one): one for one in verdict.said} for verdict in (left, right))
    for key in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(key), theirs.get(key)
        known = one or other
        assert known
        yield Compared(
            left.failure,
            key[1],
            known.says,
            key[0],
            _answers(known, one, other),
            _planes(one.proof if one else None, other.proof if other else None),
            _wire(one.proof if one else None, other.proof if other else None),
        )


def _key(said: ClaimVerdict | RemedyVerdict) -> tuple[Literal["claim", "remedy"], str]:
    return ("claim", said.id) if isinstance(said, ClaimVerdict) else ("remedy", said.name)


_Answers = dict[str, tuple[str, str]]


def _answers(
    known: ClaimVerdict | RemedyVerdict,
    left: ClaimVerdict | RemedyVerdict | None,
    right: ClaimVerdict | RemedyVerdict | None,
) -> tuple[Pair, ...]:
    return tuple(_pair(what, _said(left), _said(right)) for what in _said(known))


def _said(said: ClaimVerdict | RemedyVerdict | None) -> _Answers:
    if said is None:
        return {}
    if isinstance(said, RemedyVerdict):
        return {"does it heal": (said.word, said.why)}
    both = (("as posted", said.as_posted), ("today's form", said.today))
    return {name: (answer.word, answer.why) for name, answer in both}


def _planes(left: Proof | None, right: Proof | None) -> tuple[Pair, ...]:
    """Return a pair for each source; without any record, at least the one of the packets.

    The first word of a source is its: what it counted, after its log, may be of another call too.
    """
    ours, theirs = (
        {said.source: (said.security, said.why) for said in reversed(proof.planes if proof else ())}
        for proof in (left, right)
    )
    sources = dict.fromkeys(reversed([*theirs, *ours])) or (wire.SOURCE,)
    return tuple(_pair(source, ours, theirs) for source in sources)


def _wire(left: Proof | None, right: Proof | None) -> Pair:
    ours, theirs = (
        {"wire": (proof.security, proof.why)} if proof else {} for proof in (left, right)
    )
    return _pair("wire", ours, theirs)


def _pair(what: str, left: _Answers, right: _Answers) -> Pair:
    nothing = (NO_RECORD, "this run says nothing of it")
    (one, one_why), (other, other_why) = left.get(what, nothing), right.get(what, nothing)
    return Pair(what, one, other, one_why, other_why)
