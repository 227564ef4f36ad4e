"""What a failure is: data. A world with its policy, calls made in it, and what must be seen.

Nothing here runs anything. `lab.run` makes the worlds and the calls, `lab.verdict` judges
what was recorded, and both read these values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lab.checks import Finding
    from lab.observe import Case

Phase = Literal["before", "during", "after"]
PHASES: tuple[Phase, ...] = ("before", "during", "after")
Step = Literal["", "broken", "changed", "restored"]
STEPS: tuple[Step, ...] = ("broken", "changed", "restored")
"""A remedy is tried on what fails: as it is, with the remedy, and with it taken back."""
Scope = Literal["namespace", "mesh"]
Word = Literal["reproduced", "fails otherwise", "not reproduced", "inconclusive", "skipped"]
RemedyWord = Literal["heals", "does not heal", "not needed", "inconclusive", "skipped"]
Check = Callable[["Case"], "Finding"]
CheckOf = Callable[..., Check]
"""A check that still wants the names of its calls."""

PEER_AUTHENTICATION = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: {namespace}}
spec: {mtls: {mode: {mtls}}}
"""
# The post's own rule, in the version it names; only the namespace is a parameter.
DESTINATION_RULE = """\
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {name: default, namespace: {namespace}}
spec:
  host: "*.{namespace}.svc.cluster.local"
  trafficPolicy: {tls: {mode: {rule}}}
"""


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each `{name}` of these values filled in; other braces are YAML or JSON."""
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), text)


@dataclass(frozen=True)
class Port:
    """One port of a Service. Its name is what Istio reads the protocol from."""

    name: str
    number: int
    target: int | str
    """Where the workload listens; text only while a `{parameter}` is open."""
    app_protocol: str = ""


@dataclass(frozen=True)
class Service:
    """A Service as it is applied; `{parameter}` in a port's name is filled in."""

    name: str
    workload: str
    ports: tuple[Port, ...]

    @property
    def manifest(self) -> str:
        """YAML, with parameters still open."""
        lines = [
            "apiVersion: v1",
            "kind: Service",
            f"metadata: {{name: {self.name}}}",
            "spec:",
            f"  selector: {{app: {self.workload}}}",
            "  ports:",
        ]
        for port in self.ports:
            lines += [f"  - port: {port.number}", f"    targetPort: {port.target}"]
            lines += [f"    name: {port.name}"] if port.name else []
            lines += [f"    appProtocol: {port.app_protocol}"] if port.app_protocol else []
        return "\n".join(lines) + "\n"


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
    services: tuple[Service, ...]
    mtls: str = ""
    """PeerAuthentication mode; empty: none is applied, and the mesh's default holds."""
    rule: str = ""
    """TLS mode of the post's DestinationRule; empty: the rule is not applied."""

    @property
    def policy(self) -> str:
        """The policy as YAML, with `{namespace}` still open."""
        texts = [PEER_AUTHENTICATION] if self.mtls else []
        texts += [DESTINATION_RULE] if self.rule else []
        return "---\n".join(fill(text, {"mtls": self.mtls, "rule": self.rule}) for text in texts)


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
    """What `api` is given."""
    service: str = ""
    """Service that is asked, where it is not named like the workload."""
    through: str = ""
    """`gateway:9005`: workload and port that stand between. The call has two hops then."""
    step: Step = ""

    @property
    def asked(self) -> tuple[str, str, int]:
        """(workload, Service, port) that the caller itself asks."""
        if self.through:
            workload, _, port = self.through.partition(":")
            return workload, self.service or workload, int(port)
        return self.to, self.service or self.to, self.port


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
class Change:
    """What a remedy changes: manifests as they stand, and as they are with it.

    What is only in `after` is deleted when the remedy is taken back.
    """

    before: str = ""
    after: str = ""


def renamed(service: Service, name: str, app_protocol: str = "") -> Change:
    """One field of a Service's first port: its name, or its appProtocol."""
    port = replace(service.ports[0], name=name, app_protocol=app_protocol)
    return Change(service.manifest, replace(service, ports=(port,)).manifest)


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
    change: Change = Change()
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
class Parameter:
    """Something that a person may change; a changed one is an experiment of its own."""

    about: str
    default: str
    allowed: tuple[str, ...]
    meaning: Mapping[str, str] = field(default_factory=dict)
    """What a value stands for in commands and manifests, where not for itself."""


POLICY: Mapping[str, Parameter] = {
    "mtls": Parameter(
        "PeerAuthentication mode of the post's namespace",
        "STRICT",
        ("STRICT", "PERMISSIVE", "DISABLE"),
    ),
    "rule": Parameter(
        "TLS mode of the post's DestinationRule", "ISTIO_MUTUAL", ("ISTIO_MUTUAL", "DISABLE")
    ),
}
"""The post's two rules as parameters: a world whose modes are `{mtls}` and `{rule}` takes them."""


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
