"""What is deployed and called: ports, Services, worlds, calls, changes, parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lab.model.declared import Declared
from lab.workloads.variants import Variant

Phase = Literal["before", "during", "after"]
PHASES: tuple[Phase, ...] = ("before", "during", "after")
Step = Literal["", "broken", "changed", "restored"]
STEPS: tuple[Step, ...] = ("broken", "changed", "restored")
"""A remedy is tried on what fails: as it is, with the remedy, and with it taken back."""
Scope = Literal["namespace", "mesh"]

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


PLACEHOLDER = re.compile(r"(?<![%$])\{(\w+(?::[\w-]+)?)\}")
"""`{mtls}`, `{ip:httpbin}`; not YAML's or JSON's own braces, nor curl's `%{http_code}`."""


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with each `{name}` of these values filled in; other braces stay."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


@dataclass(frozen=True)
class Port(Declared):
    """One port of a Service. Its name is what Istio reads the protocol from."""

    name: str
    number: int
    target: int | str
    """Where the workload listens; text only while a `{parameter}` is open."""
    app_protocol: str = ""


@dataclass(frozen=True)
class Service(Declared):
    """A Service as it is applied; `{parameter}` in a port's name is filled in."""

    name: str
    workload: str
    ports: tuple[Port, ...]
    headless: bool = False
    """Without an address of its own: its name resolves to the pods' addresses."""

    @property
    def manifest(self) -> str:
        """Return it as YAML, with parameters still open."""
        lines = [
            "apiVersion: v1",
            "kind: Service",
            f"metadata: {{name: {self.name}}}",
            "spec:",
            *(["  clusterIP: None"] if self.headless else []),
            f"  selector: {{app: {self.workload}}}",
            "  ports:",
        ]
        for port in self.ports:
            lines += [f"  - port: {port.number}", f"    targetPort: {port.target}"]
            lines += [f"    name: {port.name}"] if port.name else []
            lines += [f"    appProtocol: {port.app_protocol}"] if port.app_protocol else []
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Namespace(Declared):
    """A second namespace beside a world's own, with objects and no pods of the lab's."""

    name: str
    """`other` in the placeholder `{namespace:other}`; a run adds its own prefix to it."""
    objects: str
    """YAML, applied in this namespace."""
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class World(Declared):
    """A namespace of its own: one policy, its workloads, and the calls of one phase.

    Calls under different policies never share pods, so that no old connection can outlive
    a policy and be taken for a new one.
    """

    name: str
    phase: Phase
    about: str
    workloads: tuple[str, ...]
    """Names of lab.workloads.manifests.WORKLOADS, or of `variants`."""
    services: tuple[Service, ...]
    mtls: str = ""
    """PeerAuthentication mode; empty: none is applied, and the mesh's default holds."""
    rule: str = ""
    """TLS mode of the post's DestinationRule; empty: the rule is not applied."""
    objects: str = ""
    """YAML of further objects of the namespace: a ServiceEntry, a Sidecar. `{ip:httpbin}` is a
    pod's own address: what names one is applied once the pods are ready."""
    others: tuple[Namespace, ...] = ()
    variants: tuple[Variant, ...] = ()
    """Workloads that differ from the lab's: another name, annotations, no sidecar."""

    @property
    def pods(self) -> int:
        """Return how many pods it has."""
        others = sum(other.objects.count("kind: Deployment") for other in self.others)
        return len(self.workloads) + others

    @property
    def policy(self) -> str:
        """Return the policy as YAML, with `{namespace}` still open."""
        texts = [PEER_AUTHENTICATION] if self.mtls else []
        texts += [DESTINATION_RULE] if self.rule else []
        return "---\n".join(fill(text, {"mtls": self.mtls, "rule": self.rule}) for text in texts)


@dataclass(frozen=True)
class Call(Declared):
    """One request as a person would type it.

    `{marker}`, `{namespace}` and `{ip:httpbin}`, a pod's own address, are filled in as it is made.
    """

    name: str
    world: str
    source: str
    """Workload that types it; `api` for a manifest given to the API server."""
    to: str
    """Workload that is meant to answer."""
    port: int
    """Service port, or the pod's where its address is called; 0 for a call to the API server."""
    command: str
    manifest: str = ""
    """What `api` is given."""
    service: str = ""
    """Service that is asked, where it is not named like the workload."""
    through: str = ""
    """`gateway:9005`: workload and port that stand between. The call has two hops then."""
    step: Step = ""

    @property
    def to_address(self) -> bool:
        """Return whether a pod's own address is called, past every Service."""
        return "{ip:" in self.command

    @property
    def asked(self) -> tuple[str, str, int]:
        """Return (workload, Service, port) that the caller itself asks; no Service by address."""
        if self.to_address:
            return self.to, "", self.port
        if self.through:
            workload, _, port = self.through.partition(":")
            return workload, self.service or workload, int(port)
        return self.to, self.service or self.to, self.port


@dataclass(frozen=True)
class Change:
    """What a remedy changes: manifests as they stand, and as they are with it.

    What is only in `after` is deleted when the remedy is taken back.
    """

    before: str = ""
    after: str = ""


NO_CHANGE = Change()


def renamed(service: Service, name: str, app_protocol: str = "") -> Change:
    """Return a change of one field of a Service's first port: its name, or its appProtocol."""
    port = replace(service.ports[0], name=name, app_protocol=app_protocol)
    return Change(service.manifest, replace(service, ports=(port,)).manifest)


@dataclass(frozen=True)
class Parameter(Declared):
    """Something that a person may change; a changed one is an experiment of its own."""

    about: str
    default: str
    allowed: tuple[str, ...]
    """All values that it may have, the default too."""
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
