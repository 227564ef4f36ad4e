"""Finds in the stored files what belongs to one hop of a call."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lab.envoy.mesh import Address
from lab.judge.files import StoredFiles
from lab.model import call_types
from lab.model.evidence import CLOCK_SLACK, CallRecord, PodRecord, ServiceRecord, WorldRecord
from lab.model.scenario import Call
from lab.planes import config, log
from lab.planes.capture_file import CaptureFile, redirected_from
from lab.planes.wire import ConnectionQuery


@dataclass(frozen=True)
class HopEvidence:
    """One hop of a call, and the files that every plane reads of it."""

    files: StoredFiles
    call: Call
    """As this hop has it: of a call through a gateway, who sends it on and who gets it."""
    record: CallRecord
    world: WorldRecord
    made: Call
    """As a person typed it."""
    first: bool = True
    """Whether it begins at the caller; a hop that begins at a gateway does not."""
    older: bool = False
    """Whether connections are accepted that began before the capture."""

    @property
    def client(self) -> PodRecord:
        """The pod that sends."""
        return self.world.pods[self.call.source]

    @property
    def server(self) -> PodRecord:
        """The pod that is asked."""
        return self.world.pods[self.call.to]

    @property
    def marker(self) -> bytes:
        """The call's own random bytes."""
        return self.record.marker.encode()

    @property
    def path(self) -> str:
        """The path that an HTTP client asks for."""
        return call_types.sending(self.record.typed).path

    @property
    def window(self) -> tuple[float, float]:
        """Unix seconds between which the call was made, with the slack of two clocks."""
        return self.record.started - CLOCK_SLACK, self.record.ended + CLOCK_SLACK

    @property
    def until(self) -> float:
        """Unix seconds at which the call had ended on every clock."""
        return self.window[1]

    @property
    def route(self) -> config.Route:
        """Which of the sending proxy's configuration would carry it."""
        name = self.call.service or self.call.to
        if self.made.to_address:
            ip, port = self.server.ip, self.call.port
            sends = call_types.first_bytes(self.call.command)
            return config.Route(ip, port, ip, self.record.target or port, sends)
        service = self.world.services[name]
        if str(self.call.port) not in service.targets:  # behind a gateway it may have another name
            service = self._with_port(self.call.port) or service
        target = self.record.target if self.first else service.targets[str(self.call.port)]
        by_address = name == service.cluster_ip
        return config.Route(
            host=name if by_address else f"{name}.{self.world.namespace}.svc.cluster.local",
            port=self.call.port,
            cluster_ip=service.cluster_ip,
            target=target,
            sends=call_types.first_bytes(self.call.command),
        )

    def _with_port(self, port: int) -> ServiceRecord | None:
        """Return the world's Service that has this port; None: there is none, or several."""
        every = self.world.services.values()
        found = [one for one in every if str(port) in one.targets]
        return found[0] if len(found) == 1 else None

    @property
    def asked(self) -> tuple[Address, Address]:
        """The address that the caller itself connects to, and the pod's that stands behind it."""
        workload, name, port = self.made.asked
        service = self.world.services.get(name)
        pod = self.world.pods[workload].ip, self.record.target or self.route.target
        if service is None or service.cluster_ip in ("", "None"):
            return pod, pod
        return (service.cluster_ip, port), pod

    @property
    def client_log(self) -> list[log.Line]:
        """The access log of the sending pod's proxy."""
        return self.files.access_log(self.world, self.call.source)

    @property
    def server_log(self) -> list[log.Line]:
        """The access log of the asked pod's proxy."""
        return self.files.access_log(self.world, self.call.to)

    def capture(self, pod: str, interface: str) -> CaptureFile | None:
        """Return the capture of a pod's interface for this call; None where none was made."""
        return self.files.capture(self.world, pod, interface, self.record.act)

    def contains(self, line: log.Line) -> bool:
        """Return whether a line began while the call was made."""
        first, last = self.window
        return first <= (log.began(line) or 0.0) <= last

    def query(self, port: int | None) -> ConnectionQuery:
        """Return which connection between the two pods is meant.

        port: the client's network-side port; None: not known, then the time decides.
        """
        route = self.route
        return ConnectionQuery(
            client_ip=self.client.ip,
            targets=((self.server.ip, route.target), (route.cluster_ip, self.call.port)),
            client_port=port,
            window=self.window,
            since=self.record.since,
            older=self.older,
        )

    def as_redirected(self) -> HopEvidence:
        """Return the same hop with the port from which the call came to its own sidecar.

        The port is read on the pod's loopback.
        """
        lo = self.capture(self.call.source, "lo")
        if lo is None or not self.client.sidecar:
            return self
        own = (self.client.ip, self.record.local_port)
        _, port = redirected_from(lo, own, self.window)
        return replace(self, record=replace(self.record, local_port=port))
