"""A comparison of two runs as text and tables."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

from lab.judge.verdict import Verdict
from lab.render.comparison import NO_RECORD, Compared, Comparison, Run
from lab.render.display import Table
from lab.render.wording import SHOWS

_STACK = ("istio", "envoy", "flavour", "kubernetes")


def text(compared: Comparison, width: int) -> str:
    """Return everything for the terminal, but the last sentence."""
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
    """Return the sentence that a comparison ends with, for the terminal."""
    return _fold(compared.sentence, width)


def identity(compared: Comparison) -> Table:
    """Return which two runs these are, and in what they were not made alike."""
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
    """Return one line: when and on what its evidence was recorded."""
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
    """Return versions; and what else is known of the stacks, where it is not the same."""
    verdicts = (*compared.left.verdicts, *compared.right.verdicts)
    others = sorted({key for verdict in verdicts for key in verdict.stack} - set(_STACK))
    rows = [_of_both(key, compared, _part(key)) for key in (*_STACK, *others)]
    return [row for row in rows if row[0] in _STACK or row[1] != row[2]]


def _part(key: str) -> Callable[[Verdict], str]:
    return lambda verdict: verdict.stack.get(key, "-")


def other_parameters(compared: Comparison) -> list[tuple[str, str, str, str]]:
    """Return (failure, parameter, left, right) of each parameter whose values differ."""
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
    """Return the failures of which both runs hold one and the same recording."""
    same = [
        one.failure
        for one in compared.left.verdicts
        for other in [compared.right.verdict(one.failure)]
        if other and (one.run, one.recorded_at) == (other.run, other.recorded_at)
    ]
    told = f"Both hold the same recording of {', '.join(same)}."
    return ["", _fold(told, width)] if same else []


def answers_table(compared: Comparison) -> Table:
    """Return a row for each answer to a claim, and for each remedy."""
    rows = tuple(
        (row.failure, row.label(pair), pair.left, pair.right, pair.state)
        for row in compared.rows
        for pair in row.answers
    )
    return Table("", ("failure", "what", "left", "right", ""), rows)


def planes_table(compared: Comparison) -> Table:
    """Return a row for each plane whose answers are not the same."""
    rows = tuple(
        (row.failure, row.title, pair.what, shown(pair.left), shown(pair.right), pair.state)
        for row in compared.rows
        for pair in row.planes
        if pair.state != "same"
    )
    return Table("", ("failure", "seen on the call of", "source", "left", "right", ""), rows)


def shown(word: str) -> str:
    """Return a word as people read it: `mutual TLS` for mutual_tls."""
    return SHOWS.get(word, word)


def _planes_text(compared: Comparison, width: int) -> list[str]:
    table = planes_table(compared)
    agreeing = sum(pair.state == "same" for pair in compared.planes)
    told = f"{agreeing} of {len(compared.planes)} plane answers agree."
    return [table.text(width), "", told] if table.rows else [told]


def _explained(row: Compared, width: int) -> list[str]:
    """Return why each run's evidence says what it says, of all that is not the same."""
    lines = []
    for pair in (*row.pairs_in("differs"), *row.pairs_in("cannot say")):
        if NO_RECORD in (pair.left, pair.right):
            continue  # there is no reason to tell
        lines.append(f"  {pair.what}: {pair.state}")
        left, right = _own(pair.left_why, pair.right_why), _own(pair.right_why, pair.left_why)
        lines.append(_brief(f"    left   {shown(pair.left)}: {left}", width))
        lines.append(_brief(f"    right  {shown(pair.right)}: {right}", width))
    return [_fold(f"{row.failure} {row.title}: {row.says}", width), *lines, ""] if lines else []


def _own(why: str, other: str) -> str:
    """Return what a reason says that the other does not; all of it where that is nothing."""
    common = set(other.split("; "))
    return "; ".join(part for part in why.split("; ") if part not in common) or why


def _brief(line: str, width: int) -> str:
    """Return two lines at most; `istio-lab why` has the whole."""
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
