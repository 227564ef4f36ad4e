"""A recorded call seen through its planes: what checks look at.

Everything is read again from the stored files; nothing that the run concluded is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab.evidence import CallRecord, Evidence, WorldRecord
from lab.failure import Call, Failure
from lab.planes import Security, Seen, log, wire
from lab.workloads.manifests import SERVED

CLOCK_SLACK = 0.25
"""Seconds around a call in which its SYN may lie, where its port is not known."""


@dataclass(frozen=True)
class Observation:
    """One call: its record, what the wire says, what the server's proxy says."""

    call: Call
    record: CallRecord
    wire: Seen
    server: Seen
    client_line: log.Line | None
    server_line: log.Line | None
    left_client: bool | None
    """Its bytes were seen on the client's own side; None: cannot be said."""

    @property
    def security(self) -> Security:
        """Both together: `mutual_tls` only where packets say TLS and the server's proxy who."""
        if self.wire.security == "tls" and self.server.security == "mutual_tls":
            return "mutual_tls"
        return self.wire.security

    @property
    def marker_count(self) -> int:
        """How often the call's marker could be read in the packets between the pods."""
        facts = self.wire.facts
        return _count(facts.get("marker_in_client")) + _count(facts.get("marker_in_server"))


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


class Case:
    """One failure's evidence as checks ask for it."""

    def __init__(self, failure: Failure, evidence: Evidence, folder: Path) -> None:
        self.failure, self.evidence, self.folder = failure, evidence, folder
        self._seen: dict[str, Observation | None] = {}
        self._lines: dict[tuple[str, str], list[log.Line]] = {}

    def world(self, name: str) -> WorldRecord | None:
        return self.evidence.worlds.get(name)

    def see(self, name: str) -> Observation | None:
        """A call and its planes; None when it was not made, or its answer was lost."""
        if name not in self._seen:
            self._seen[name] = self._observe(name)
        return self._seen[name]

    @cached_property
    def calls(self) -> dict[str, Call]:
        return {call.name: call for call in self.failure.calls}

    def _observe(self, name: str) -> Observation | None:
        record, call = self.evidence.call(name), self.calls[name]
        world = self.world(call.world)
        if record is None or record.lost or world is None:
            return None
        if call.source == "api":
            nothing = Seen("wire", wire.SOURCE, "none", "a request to the API server")
            return Observation(call, record, nothing, nothing, None, None, None)
        return self._planes(call, record, world)

    def _planes(self, call: Call, record: CallRecord, world: WorldRecord) -> Observation:
        client_ip = world.pods[call.source].ip
        address = f"{client_ip}:{record.local_port}" if record.local_port else ""
        client_line = log.find(
            self._log(world, call.source), request_id=record.request_id, address=address
        )
        port = log.port_of((client_line or {}).get("upstream_local_address"))
        if not world.pods[call.source].sidecar:
            port = record.local_port or None
        wired = self._wire(call, record, world, port)
        peer = f"{client_ip}:{port}" if port else str(wired.facts.get("client", ""))
        server_line = log.find(
            self._log(world, call.to), request_id=record.request_id, address=peer
        )
        return Observation(
            call,
            record,
            wired,
            log.server_says(server_line),
            client_line,
            server_line,
            self._left_client(call, record, world),
        )

    def _wire(self, call: Call, record: CallRecord, world: WorldRecord, port: int | None) -> Seen:
        """By the network-side port where it is known; else by when the call was made."""
        captures = [self._capture(world, pod, "eth0") for pod in (call.source, call.to)]
        if captures[0] is None or captures[1] is None:
            return Seen("wire", wire.SOURCE, "unknown", "a pod's eth0 was not captured")
        target = SERVED[call.to][call.port]
        targets = ((world.pods[call.to].ip, target), (world.services[call.to], call.port))
        window = (record.started - CLOCK_SLACK, record.ended + CLOCK_SLACK)
        edge = wire.Edge(world.pods[call.source].ip, targets, port, None if port else window)
        return wire.read(edge, captures[0], captures[1], record.marker.encode())

    def _left_client(self, call: Call, record: CallRecord, world: WorldRecord) -> bool | None:
        capture = self._capture(world, call.source, "lo")
        if capture is None or not world.pods[call.source].sidecar:
            return None
        return wire.on_loopback(capture, record.marker.encode())

    def _capture(self, world: WorldRecord, pod: str, interface: str) -> wire.CaptureFile | None:
        found = world.capture(pod, interface)
        if found is None:
            return None
        return wire.CaptureFile(self.folder / found.file, found.dropped, found.packets)

    def _log(self, world: WorldRecord, pod: str) -> list[log.Line]:
        key = (world.name, pod)
        if key not in self._lines:
            path = self.folder / "logs" / f"{world.name}-{pod}.jsonl"
            self._lines[key] = log.parse(path.read_text()) if path.exists() else []
        return self._lines[key]
