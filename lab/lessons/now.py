"""The present state of a lesson's namespace, as hints speak of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clusters.kube import Obj
from lab.common import port_protocols
from lab.record import held

HOST = "svc.cluster.local"


class ServicePort(NamedTuple):
    """A Service's port as it is now."""

    name: str
    app_protocol: str
    speaks: str
    """What Istio takes it to speak; empty: it looks at the first bytes."""
    target: int

    @property
    def told(self) -> str:
        """Return how it is declared: `appProtocol: tcp`, `named udp-foo`, `without a name`."""
        if self.app_protocol:
            return f"has appProtocol: {self.app_protocol}"
        return f"is named {self.name}" if self.name else "has no name"


@dataclass(frozen=True)
class Now:
    """The objects of a lesson's namespace, by their kind."""

    namespace: str
    objects: Mapping[str, Sequence[Obj]] = field(default_factory=dict)

    def of(self, kind: str) -> Sequence[Obj]:
        """Return the objects of a kind: `PeerAuthentication`."""
        return self.objects.get(kind, ())

    def port(self, service: str, number: int) -> ServicePort | None:
        """Return a Service's port; None: it is not there."""
        for one in self.of("Service"):
            if one["metadata"]["name"] == service:
                for port in one["spec"].get("ports") or ():
                    if port["port"] == number:
                        return ServicePort(
                            str(port.get("name") or ""),
                            str(port.get("appProtocol") or ""),
                            port_protocols.of_port(port),
                            int(port["targetPort"]),
                        )
        return None

    def mode(self, workload: str, port: int) -> str:
        """Return the PeerAuthentication mode of a workload's port: `STRICT`."""
        policies = self.of("PeerAuthentication")
        default = "PERMISSIVE"
        for one in policies:
            if not one["spec"].get("selector"):
                default = str((one["spec"].get("mtls") or {}).get("mode", default))
        own = [one for one in policies if one["spec"].get("selector")]
        return held.mode(own, {"app": workload}, port, default)

    def rules(self, service: str) -> Iterator[Obj]:
        """Yield the DestinationRules of a Service."""
        hosts = (service, f"{service}.{self.namespace}", f"{service}.{self.namespace}.{HOST}")
        for one in self.of("DestinationRule"):
            if one["spec"]["host"] in hosts:
                yield one

    def tls(self, service: str) -> str:
        """Return the mode of TLS that a DestinationRule gives a Service; empty: none does."""
        for one in self.rules(service):
            tls = (one["spec"].get("trafficPolicy") or {}).get("tls") or {}
            return str(tls.get("mode", ""))
        return ""

    def annotation(self, workload: str, name: str) -> str:
        """Return an annotation of a workload's pods; empty: they do not have it."""
        for one in self.of("Deployment"):
            if one["metadata"]["name"] == workload:
                notes = one["spec"]["template"]["metadata"].get("annotations") or {}
                return str(notes.get(name, ""))
        return ""

    def get(self, kind: str, name: str) -> Obj | None:
        """Return an object; None: it is not there."""
        return next((one for one in self.of(kind) if one["metadata"]["name"] == name), None)
