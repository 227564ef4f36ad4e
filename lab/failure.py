"""What a failure is: data. A world with its policy, calls made in it, and what must be seen.

Nothing here runs anything. `lab.run` makes the worlds and the calls, `lab.verdict` judges
what was recorded, and both read these values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lab.checks import Finding
    from lab.observe import Case

Phase = Literal["before", "during", "after"]
PHASES: tuple[Phase, ...] = ("before", "during", "after")
Mtls = Literal["STRICT", "PERMISSIVE", "DISABLE"]
Rule = Literal["ISTIO_MUTUAL", "DISABLE", ""]
Word = Literal["reproduced", "fails otherwise", "not reproduced", "inconclusive", "skipped"]
Check = Callable[["Case"], "Finding"]

PEER_AUTHENTICATION = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: {namespace}}}
spec: {{mtls: {{mode: {mtls}}}}}
"""
# The post's own rule, in the version it names; only the namespace is a parameter.
DESTINATION_RULE = """\
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {{name: default, namespace: {namespace}}}
spec:
  host: "*.{namespace}.svc.cluster.local"
  trafficPolicy: {{tls: {{mode: {rule}}}}}
"""


@dataclass(frozen=True)
class World:
    """A namespace of its own: one policy, its workloads, and the calls of one phase.

    Calls under different policies never share pods, so that no old connection can outlive
    a policy and be taken for a new one.
    """

    name: str
    phase: Phase
    about: str
    workloads: tuple[str, ...]
    """Names of functions in lab.workloads.manifests."""
    mtls: Mtls
    rule: Rule
    """TLS mode of the post's DestinationRule; empty: the rule is not applied."""

    @property
    def policy(self) -> str:
        """The policy as YAML, with `{namespace}` still open."""
        texts = [PEER_AUTHENTICATION.replace("{mtls}", self.mtls)]
        if self.rule:
            texts.append(DESTINATION_RULE.replace("{rule}", self.rule))
        return "---\n".join(texts)


@dataclass(frozen=True)
class Call:
    """One request as a person would type it: `{marker}` and `{namespace}` are filled in."""

    name: str
    world: str
    source: str
    """Workload that types it; `api` for a manifest given to the API server."""
    to: str
    """Workload that is meant to answer."""
    port: int
    """Service port; 0 for a call to the API server."""
    command: str
    manifest: str = ""
    """What `api` is given, with `{namespace}` and the world's `{rule}` still open."""


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


@dataclass(frozen=True)
class Claim:
    """One clause of the post, with its two answers."""

    id: str
    says: str
    as_posted: Answer
    today: Answer
    shows: str
    """The call whose wire is shown in the table and in the proof."""


@dataclass(frozen=True)
class Control:
    """What must hold or nothing may be concluded."""

    says: str
    check: Check


@dataclass(frozen=True)
class Pin:
    """What a claim's answers are known to be, for a range of versions and kinds of cluster."""

    claim: str
    as_posted: Word
    today: Word
    why: str
    istio: str = ">=1.31,<1.32"
    clusters: tuple[str, ...] = ("embedded", "kind")

    def covers(self, istio: str, cluster: str) -> bool:
        """Whether this pin speaks of that Istio version on that kind of cluster."""
        return cluster in self.clusters and all(
            _holds(istio, bound) for bound in self.istio.split(",")
        )


@dataclass(frozen=True)
class Parameter:
    """Something that a person may change; a changed one is an experiment of its own."""

    about: str
    default: str
    allowed: tuple[str, ...]


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
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    needs: frozenset[str] = frozenset({"sidecar", "capture"})
    try_next: tuple[str, ...] = ()

    def world(self, name: str) -> World:
        return next(world for world in self.worlds if world.name == name)

    def calls_in(self, world: str) -> tuple[Call, ...]:
        return tuple(call for call in self.calls if call.world == world)

    def pin(self, claim: str, istio: str, cluster: str) -> Pin | None:
        """The pin for a claim on that stack; None means the stack is new to this failure."""
        found = (p for p in self.pins if p.claim == claim and p.covers(istio, cluster))
        return next(found, None)


_OPERATORS: Mapping[str, Callable[[int], bool]] = {
    ">=": lambda order: order >= 0,
    "<": lambda order: order < 0,
    "==": lambda order: order == 0,
}


def _holds(version: str, bound: str) -> bool:
    match = re.fullmatch(r"(>=|<|==)(\d+(?:\.\d+)*)", bound)
    if match is None:
        raise ValueError(f"{bound!r} is not a bound such as >=1.31")
    wanted = _numbers(match.group(2))
    seen = _numbers(version)[: len(wanted)]
    return _OPERATORS[match.group(1)]((seen > wanted) - (seen < wanted))


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
