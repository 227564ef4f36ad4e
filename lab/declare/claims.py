"""Claims with their pins beside them, and the controls that failures share."""

from __future__ import annotations

from lab.declare import strangers
from lab.declare.validate import named_calls
from lab.judge.checks import (
    all_of,
    answered,
    broken_off,
    no_filter_chain,
    readable,
    secured,
    under,
)
from lab.model.failure import Answer, Check, CheckOf, Claim, Control, Symptom
from lab.model.pins import Pin

OURS = ("embedded", "kind")
"""Clusters that the lab makes itself; its claims about a whole mesh are tried there only."""


def claim(
    name: str,
    says: str,
    *,
    as_posted: Answer,
    today: Answer,
    pinned: tuple[str, str] | tuple[Pin, ...] = (),
    because: str = "",
    missing_lock: bool = False,
) -> Claim:
    """Return a claim.

    pinned: its words, as posted and in today's form, on the measured stacks (lab/model/pins.py),
    and because of what; where they are others elsewhere, a `pin` for each.
    """
    pins = tuple(one for one in pinned if isinstance(one, Pin))
    words = tuple(one for one in pinned if isinstance(one, str))
    pins += (Pin(words, because),) if words else ()
    return Claim(name, says, as_posted, today, pins, missing_lock)


def answer(
    question: str,
    reproduced: Check,
    *,
    instead: Check | None = None,
    otherwise: Check | None = None,
    shows: str = "",
) -> Answer:
    """Return a claim's answer: the word is that of the first check that holds.

    reproduced: the answer is *reproduced*. otherwise: it fails, but in another way: *fails
    otherwise*. instead: what is seen when it is not so: *not reproduced*. If none holds, the answer
    is *inconclusive*. shows: the call whose packets are shown; without it, the first that
    `reproduced` names.
    """
    shown = shows or next(named_calls(reproduced), "")
    return Answer(question, reproduced, instead, otherwise, shown)


def whether_unread(call: str) -> Answer:
    """Return the answer whether nothing of a call can be read between the pods."""
    question = "Does nothing of it cross readably?"
    return answer(question, secured(call), instead=readable(call))


def whether_refused(call: str, ends: CheckOf = broken_off) -> Answer:
    """Return the answer whether the server's proxy refuses a call: no filter chain takes it.

    ends: how the caller meets it: `broken_off`, or `unanswered`, which an HTTP error is too.
    """
    refused = all_of(ends(call), no_filter_chain(call))
    return answer("Is it refused?", refused, instead=answered(call))


def seen_as(words: str, *, where: str, tell: str, says: str) -> tuple[Symptom, ...]:
    """Return what a person sees first, as a failure's `symptoms`; several are added up.

    words: as a client, a log or a status has them, with commas between them. where: who says so.
    tell: the command that tells this failure from others that look so; says: what it shows where it
    is this one.
    """
    return (Symptom(tuple(words.split(", ")), where, tell, says),)


def pin(*words: str, because: str, on: tuple[str, ...] = ()) -> Pin:
    """Return what is known of a claim (two words) or of a remedy (one), and why.

    It covers the measured stacks (lab/model/pins.py) and no other. on: the kinds of cluster on
    which these are the words, where they are others elsewhere.
    """
    return Pin(words, because, on)


def pins_on_ours(*words: str, because: str, elsewhere: str = "") -> tuple[Pin, Pin]:
    """Return the pins of what is tried on the lab's own clusters only, as a whole mesh's change is.

    elsewhere: why its first word is `skipped` on clusters that the lab did not make.
    """
    skipped = ("skipped", *words[1:])
    why = elsewhere or "other people's mesh is not changed"
    return pin(*words, because=because, on=OURS), pin(*skipped, because=why, on=("existing",))


def marker_is_read(
    *names: str, says: str = "without mTLS the marker is read on the wire"
) -> Control:
    """Return the control that packets can be read at all, by calls that nothing secures."""
    return Control(says, readable(*names), plane="wire")


def stranger_is_read(name: str) -> Control:
    """Return the control that packets can be read at all, by a caller without a sidecar."""
    return marker_is_read(name, says="what a stranger sends is read on the wire")


def stranger_gets_through(check: Check) -> Control:
    """Return the control of the plaintext stranger, where plaintext is accepted."""
    return Control("the plaintext stranger gets through where it may", check)


def strangers_are_refused() -> Control:
    """Return the control that under STRICT nobody gets in without a mesh certificate."""
    return Control("the three strangers are refused", under("STRICT", "posted", strangers.refused))
