"""What a failure is: data. A world with its policy, calls made in it, and what must be seen.

Nothing here runs anything. `lab.record` makes the worlds and the calls, `lab.judge` judges what
was recorded, and both read these values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lab.model.declared import Declared
from lab.model.pins import Pin
from lab.model.scenario import NO_CHANGE, POLICY, STEPS, Call, Change, Parameter, Scope, Step, World


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
class Answer(Declared):
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
class Claim(Declared):
    """One clause of the post, with its two answers."""

    id: str
    says: str
    as_posted: Answer
    today: Answer
    pins: tuple[Pin, ...] = ()
    """What is known of both answers; of several the first that covers a stack holds there."""
    missing_lock: bool = False
    """Whether the post read it off a lock that its graph did not have: then a verdict tells, beside
    the wire, what such a graph would have drawn."""


@dataclass(frozen=True)
class Control(Declared):
    """What must hold or nothing may be concluded."""

    says: str
    check: Check
    plane: str = ""
    """`wire`: it shows that packets can be read. Where a cluster lets none be recorded it says
    nothing, and holds up only what is read from packets: that is unknown by itself."""


@dataclass(frozen=True)
class Remedy(Declared):
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
    pins: tuple[Pin, ...] = ()
    """What is known of it; of several the first that covers a stack holds there."""

    @property
    def proxies(self) -> tuple[str, ...]:
        """Return the workloads whose proxies show the change."""
        return self.seen_at or (self.call.source,)

    def call_of(self, step: Step) -> Call:
        """Return the call of one step, named `<remedy>:<step>`."""
        call = self.instead if self.instead and step == "changed" else self.call
        return replace(call, name=f"{self.name}:{step}", step=step)


@dataclass(frozen=True)
class Symptom(Declared):
    """What a person sees, who has not found the cause yet."""

    words: tuple[str, ...]
    """As a client, a log or a status has them: `WRONG_VERSION_NUMBER`, `426`."""
    where: str
    """Who says so."""
    tell: str
    """The command that tells this failure from others that look so."""
    says: str
    """What that command shows where it is this failure."""


@dataclass(frozen=True)
class Failure(Declared):
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
    remedies: tuple[Remedy, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    needs: frozenset[str] = frozenset({"sidecar", "capture"})
    passthrough: bool = False
    """Whether it rests on a mesh that lets pass what is for no Service (its default)."""
    symptoms: tuple[Symptom, ...] = ()

    def world(self, name: str) -> World:
        """Return a world by its name."""
        return next(world for world in self.worlds if world.name == name)

    def calls_in(self, world: str) -> tuple[Call, ...]:
        """Return the calls that are made in a world, in their order."""
        return tuple(call for call in self.calls if call.world == world)

    @property
    def all_calls(self) -> dict[str, Call]:
        """Return every call by its name, those of the remedies too."""
        tried = (remedy.call_of(step) for remedy in self.remedies for step in STEPS)
        return {call.name: call for call in (*self.calls, *tried)}

    @property
    def other_parameter(self) -> str:
        """Return a parameter with another value, `name=value`; empty where there is none."""
        own = {name: one for name, one in self.parameters.items() if name not in POLICY}
        for name, one in (own or self.parameters).items():
            for value in one.allowed:
                if value != one.default:
                    return f"{name}={value}"
        return ""

    @property
    def pins(self) -> dict[str, tuple[Pin, ...]]:
        """Return the pins of each claim and each remedy, by its id or name."""
        claims = {claim.id: claim.pins for claim in self.claims}
        return claims | {remedy.name: remedy.pins for remedy in self.remedies}

    def pin(self, of: str, istio: str, envoy: str, cluster: str) -> Pin | None:
        """Return the pin of a claim or remedy on that stack; None: the stack is new to it."""
        return next((pin for pin in self.pins[of] if pin.covers(istio, envoy, cluster)), None)
