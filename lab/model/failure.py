"""What a failure is: data. A world with its policy, calls made in it, and what must be seen.

Nothing here runs anything. `lab.record` makes the worlds and the calls, `lab.judge` judges what
was recorded, and both read these values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lab.model.scenario import NO_CHANGE, STEPS, Call, Change, Parameter, Scope, Step, World


@dataclass(frozen=True)
class CheckResult:
    """Whether something holds, and in words what was expected and seen."""

    holds: bool | None
    text: str


Word = Literal["reproduced", "fails otherwise", "not reproduced", "inconclusive", "skipped"]
RemedyWord = Literal["heals", "does not heal", "not needed", "inconclusive", "skipped"]
Check = Callable[[Any], CheckResult]
"""From a failure's evidence, as `lab.judge.case.Case` opens it, to what it shows."""
CheckOf = Callable[..., Check]
"""A check that still wants the names of its calls."""


@dataclass(frozen=True)
class Answer:
    """One question about a claim, and the checks that answer it."""

    question: str
    reproduced: Check
    """Holds: it is as the post says (or, of today's form, as this lab says)."""
    instead: Check | None = None
    """Holds: it affirmatively is not so. Without it a claim that does not hold is inconclusive."""
    otherwise: Check | None = None
    """Holds: it fails, but in another way."""
    shows: str = ""
    """The call whose wire is shown beside the answer."""


@dataclass(frozen=True)
class Claim:
    """One clause of the post, with its two answers."""

    id: str
    says: str
    as_posted: Answer
    today: Answer
    missing_lock: bool = False
    """Whether the post read it off a lock that its graph did not have: then a verdict tells, beside
    the wire, what such a graph would have drawn."""


@dataclass(frozen=True)
class Control:
    """What must hold or nothing may be concluded."""

    says: str
    check: Check
    plane: str = ""
    """`wire`: it shows that packets can be read. Where a cluster lets none be recorded it says
    nothing, and holds up only what is read from packets: that is unknown by itself."""


@dataclass(frozen=True)
class Remedy:
    """Something that is said to heal a failure; tried on it, and taken back again."""

    name: str
    claim: str
    says: str
    price: str
    """What it costs whoever uses it, in a sentence."""
    call: Call
    """Made three times: as it fails, with the change, and with the change taken back."""
    broken: CheckOf
    """Of a call's name: it fails as this failure does."""
    healed: CheckOf
    change: Change = NO_CHANGE
    instead: Call | None = None
    """What is called with the change, where the caller has to do something else."""
    seen_at: tuple[str, ...] = ()
    """Workloads whose proxies must be seen to hold the change; empty: the caller's."""
    scope: Scope = "namespace"

    @property
    def proxies(self) -> tuple[str, ...]:
        """Workloads whose proxies the change shows at."""
        return self.seen_at or (self.call.source,)

    def call_of(self, step: Step) -> Call:
        """The call of one step, named `<remedy>:<step>`."""
        call = self.instead if self.instead and step == "changed" else self.call
        return replace(call, name=f"{self.name}:{step}", step=step)


MEASURED: Mapping[str, str] = {
    "embedded": ">=1.30,<1.32",
    "kind": ">=1.31,<1.32",
    "existing": ">=1.31,<1.32",
}
"""Kind of cluster -> the Istios that every failure was run on there."""


@dataclass(frozen=True)
class Pin:
    """What a claim or a remedy is known to be, for a range of versions and kinds of cluster."""

    of: str
    words: tuple[str, ...]
    """As posted and today's form of a claim; the one word of a remedy."""
    why: str
    istio: str = ""
    """A range such as `>=1.31,<1.32`; nothing: those of MEASURED."""
    envoy: str = ">=1.36,<1.41"
    clusters: tuple[str, ...] = ("embedded", "kind", "existing")

    def covers(self, istio: str, envoy: str, cluster: str) -> bool:
        """Whether this pin speaks of that Istio with that Envoy on that kind of cluster."""
        return (
            cluster in self.clusters
            and _within(istio, self.istio or MEASURED[cluster])
            and _within(envoy, self.envoy)
        )


@dataclass(frozen=True)
class Failure:
    """One documented failure. The file lab/failures/<name>.py holds it as `FAILURE`."""

    name: str
    title: str
    symptom: str
    """What a person sees first, in a sentence."""
    sources: tuple[str, ...]
    worlds: tuple[World, ...]
    calls: tuple[Call, ...]
    claims: tuple[Claim, ...]
    controls: tuple[Control, ...]
    """Healthy before, readable when nothing is secured, and so on."""
    pins: tuple[Pin, ...]
    remedies: tuple[Remedy, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    needs: frozenset[str] = frozenset({"sidecar", "capture"})
    passthrough: bool = False
    """Whether it rests on a mesh that lets pass what is for no Service (its default)."""
    try_next: tuple[str, ...] = ()

    def world(self, name: str) -> World:
        return next(world for world in self.worlds if world.name == name)

    def calls_in(self, world: str) -> tuple[Call, ...]:
        return tuple(call for call in self.calls if call.world == world)

    @property
    def all_calls(self) -> dict[str, Call]:
        """Every call by its name, those of the remedies too."""
        tried = (remedy.call_of(step) for remedy in self.remedies for step in STEPS)
        return {call.name: call for call in (*self.calls, *tried)}

    def pin(self, of: str, istio: str, envoy: str, cluster: str) -> Pin | None:
        """The pin of a claim or remedy on that stack; None: the stack is new to this failure."""
        found = (p for p in self.pins if p.of == of and p.covers(istio, envoy, cluster))
        return next(found, None)


_OPERATORS: Mapping[str, Callable[[int], bool]] = {
    ">=": lambda order: order >= 0,
    "<": lambda order: order < 0,
    "==": lambda order: order == 0,
}


def _within(version: str, bounds: str) -> bool:
    return all(_holds(version, bound) for bound in bounds.split(","))


def _holds(version: str, bound: str) -> bool:
    match = re.fullmatch(r"(>=|<|==)(\d+(?:\.\d+)*)", bound)
    if match is None:
        raise ValueError(f"{bound!r} is not a bound such as >=1.31")
    wanted = _numbers(match.group(2))
    seen = _numbers(version)[: len(wanted)]
    return _OPERATORS[match.group(1)]((seen > wanted) - (seen < wanted))


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
