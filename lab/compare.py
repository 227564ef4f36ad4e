"""Where two runs agree and differ: per failure, claim, remedy and plane.

Both runs' evidence is judged by today's judge, so that evidence is compared and not what was
concluded of it at its time. Nothing here reads a file: verdicts in, `Comparison` and text out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lab.display import Table
from lab.planes import wire
from lab.report import SHOWS
from lab.verdict import ClaimVerdict, Proof, RemedyVerdict, Verdict

State = Literal["same", "differs", "cannot say"]
STATES: tuple[State, ...] = ("differs", "cannot say", "same")
"""The one that says most of two runs first."""
Held = Literal["judged", "unreadable", "absent"]
NO_RECORD = "no record"
_NOTHING_SAID = {"inconclusive", "skipped", NO_RECORD}
_STACK = ("istio", "envoy", "flavour", "kubernetes")


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
        """What there is of a failure in this run."""
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
        """The name of one answer: `C2 as posted`, `remedy strict`."""
        return f"{self.title} {pair.what}" if self.kind == "claim" else self.title

    def answered(self, state: State) -> str:
        """Its answers in that state, by name; nothing where there is none."""
        answers = [pair.what for pair in self.answers if pair.state == state]
        if not answers or self.kind == "remedy":
            return self.title if answers else ""
        return f"{self.title} {' and '.join(answers)}"

    @property
    def state(self) -> State:
        """`differs` where anything does, else `cannot say` where anything cannot be said."""
        states = {pair.state for pair in (*self.answers, *self.planes)}
        return next((one for one in STATES if one in states), "same")

    def of(self, state: State) -> tuple[Pair, ...]:
        """Its answers and planes in that state."""
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
        if any(row.of("differs") for row in self.rows):
            return 1
        unsure = self.apart or any(row.of("cannot say") for row in self.rows)
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
        """Each failure with those of its claims and remedies of which something is so.

        Planes are named only where they are all that is so: an answer is read from them.
        """
        found = []
        for failure in dict.fromkeys(row.failure for row in self.rows):
            rows = [row for row in self.rows if row.failure == failure and row.of(state)]
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
    """Every claim and remedy that either verdict speaks of, in the order of the failure's file."""
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
    """By source, as sources are counted; without any record the packets at least say so.

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


def text(compared: Comparison, width: int) -> str:
    """Everything for the terminal, but the last sentence."""
    parts = [identity(compared).text(width), *_notes(compared, width), ""]
    if compared.rows:
        parts += [answers_table(compared).text(width), ""]
        parts += [*_planes_text(compared, width), ""]
    for row in compared.rows:
        parts += _explained(row, width)
    for apart in compared.apart:
        parts += [_fold(f"{apart.failure} is not compared: {apart.told}", width)]
        parts += [_fold(f"  {apart.why}", width)] if apart.why else []
    return "\n".join(parts).rstrip()


def last_words(compared: Comparison, width: int) -> str:
    """The sentence that a comparison ends with, for the terminal."""
    return _fold(compared.sentence, width)


def identity(compared: Comparison) -> Table:
    """Which two runs these are, and in what they were not made alike."""
    sides = (compared.left, compared.right)
    rows = [("run", *(run.name for run in sides))]
    if any(verdict.run != run.name for run in sides for verdict in run.verdicts):
        rows.append(_of_both("evidence of", compared, lambda verdict: verdict.run))
    rows.append(("recorded", *(_when(run) for run in sides)))
    rows.append(_of_both("cluster", compared, lambda verdict: verdict.cluster))
    rows += _stacks(compared)
    rows += [
        (f"{failure} {name}", *values) for failure, name, *values in other_parameters(compared)
    ]
    own = ("run", "evidence of", "recorded")  # of each run its own: nothing to wonder at
    marked = tuple(
        (*row, "" if row[0] in own else "same" if row[1] == row[2] else "differs") for row in rows
    )
    return Table("", ("", "left", "right", ""), marked)


def about(run: Run) -> str:
    """One line: when and on what its evidence was recorded."""
    stacks = [(one.cluster, *(one.stack.get(key, "-") for key in _STACK)) for one in run.verdicts]
    told = [
        f"{cluster} cluster, Istio {istio}, Envoy {envoy} ({flavour}), Kubernetes {kubernetes}"
        for cluster, istio, envoy, flavour, kubernetes in dict.fromkeys(stacks)
    ]
    return f"{_when(run)}: {' and '.join(told)}" if told else "nothing that can be judged"


def _of_both(what: str, compared: Comparison, of: Callable[[Verdict], str]) -> tuple[str, str, str]:
    left, right = (
        ", ".join(dict.fromkeys(of(verdict) for verdict in run.verdicts)) or "-"
        for run in (compared.left, compared.right)
    )
    return what, left, right


def _when(run: Run) -> str:
    times = sorted(f"{one.recorded_at[:10]} {one.recorded_at[11:16]}" for one in run.verdicts)
    if not times:
        return "-"
    first, last = times[0], times[-1]
    until = last[11:] if last[:10] == first[:10] else last
    return first if first == last else f"{first} to {until}"


def _stacks(compared: Comparison) -> list[tuple[str, str, str]]:
    """Versions; and what else is known of the stacks, where it is not the same."""
    verdicts = (*compared.left.verdicts, *compared.right.verdicts)
    others = sorted({key for verdict in verdicts for key in verdict.stack} - set(_STACK))
    rows = [_of_both(key, compared, _part(key)) for key in (*_STACK, *others)]
    return [row for row in rows if row[0] in _STACK or row[1] != row[2]]


def _part(key: str) -> Callable[[Verdict], str]:
    return lambda verdict: verdict.stack.get(key, "-")


def other_parameters(compared: Comparison) -> list[tuple[str, str, str, str]]:
    """(failure, parameter, left, right) of each parameter whose values differ."""
    found = []
    for one in compared.left.verdicts:
        other = compared.right.verdict(one.failure)
        theirs = other.parameters if other else one.parameters
        for name in sorted({*one.parameters, *theirs}):
            values = (one.parameters.get(name, "-"), theirs.get(name, "-"))
            if values[0] != values[1]:
                found.append((one.failure, name, *values))
    return found


def _notes(compared: Comparison, width: int) -> list[str]:
    """Failures of which both runs hold one and the same recording."""
    same = [
        one.failure
        for one in compared.left.verdicts
        for other in [compared.right.verdict(one.failure)]
        if other and (one.run, one.recorded_at) == (other.run, other.recorded_at)
    ]
    told = f"Both hold the same recording of {', '.join(same)}."
    return ["", _fold(told, width)] if same else []


def answers_table(compared: Comparison) -> Table:
    """A row for each answer to a claim, and for each remedy."""
    rows = tuple(
        (row.failure, row.label(pair), pair.left, pair.right, pair.state)
        for row in compared.rows
        for pair in row.answers
    )
    return Table("", ("failure", "what", "left", "right", ""), rows)


def planes_table(compared: Comparison) -> Table:
    """A row for each plane whose answers are not the same."""
    rows = tuple(
        (row.failure, row.title, pair.what, shown(pair.left), shown(pair.right), pair.state)
        for row in compared.rows
        for pair in row.planes
        if pair.state != "same"
    )
    return Table("", ("failure", "seen on the call of", "source", "left", "right", ""), rows)


def shown(word: str) -> str:
    """A word as people read it: `mutual TLS` for mutual_tls."""
    return SHOWS.get(word, word)


def _planes_text(compared: Comparison, width: int) -> list[str]:
    table = planes_table(compared)
    agreeing = sum(pair.state == "same" for pair in compared.planes)
    told = f"{agreeing} of {len(compared.planes)} plane answers agree."
    return [table.text(width), "", told] if table.rows else [told]


def _explained(row: Compared, width: int) -> list[str]:
    """Why each run's evidence says what it says, of all that is not the same."""
    lines = []
    for pair in (*row.of("differs"), *row.of("cannot say")):
        if NO_RECORD in (pair.left, pair.right):
            continue  # there is no reason to tell
        lines.append(f"  {pair.what}: {pair.state}")
        left, right = _own(pair.left_why, pair.right_why), _own(pair.right_why, pair.left_why)
        lines.append(_brief(f"    left   {shown(pair.left)}: {left}", width))
        lines.append(_brief(f"    right  {shown(pair.right)}: {right}", width))
    return [_fold(f"{row.failure} {row.title}: {row.says}", width), *lines, ""] if lines else []


def _own(why: str, other: str) -> str:
    """What a reason says that the other does not; all of it where that is nothing."""
    common = set(other.split("; "))
    return "; ".join(part for part in why.split("; ") if part not in common) or why


def _brief(line: str, width: int) -> str:
    """Two lines at most; `python -m lab why` has the whole."""
    return _fold(line, width, indent=11, max_lines=2, placeholder=" ...")


def _fold(line: str, width: int, indent: int = 2, **how: Any) -> str:
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        **how,
    )
