"""Writes one call's packets as one pcapng: those of every hop, and none of another call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.common import files
from lab.common.errors import BadEvidence
from lab.common.redaction import redact
from lab.common.text import printable
from lab.judge import hops
from lab.judge.case import Case
from lab.judge.hops import Hop
from lab.judge.observation import Tap
from lab.model.evidence import CLOCK_SLACK, CallRecord
from lab.packets import comments, pcap, pcapng
from lab.packets.pcap import Connection
from lab.planes.capture_file import REDIRECTED, CaptureFile, address_asked
from lab.render.wording import SHOWS

SUFFIX = ".pcapng"
APPLICATION = "Istio failure lab"
SHARED = "the call begins here: earlier packets of this connection belong to other calls"


@dataclass(frozen=True)
class CallPackets:
    """All packets of a call by time, the interfaces that saw them, and what call it was."""

    interfaces: tuple[pcapng.Interface, ...]
    packets: tuple[pcapng.Packet, ...]
    about: str


@dataclass
class _Recorded:
    """One capture file, and which of its frames belong to the call."""

    capture: pcap.Capture
    interface: pcapng.Interface
    comments: dict[int, list[str]] = field(default_factory=dict)
    """Frame of the call -> its comments."""


def write(case: Case, name: str, path: Path) -> int:
    """Write a call's pcapng; returns how many packets it holds. Raises BadEvidence as `collect`."""
    found = collect(case, name)
    files.write_bytes(path, pcapng.file(found.interfaces, found.packets, found.about, APPLICATION))
    return len(found.packets)


def collect(case: Case, name: str) -> CallPackets:
    """Collect what a call's pcapng holds.

    Raises BadEvidence where no packet of the call was recorded, and says why.
    """
    recorded = _recorded(case, name)
    interfaces = tuple(one.interface for one in recorded)
    return CallPackets(interfaces, tuple(_packets(recorded)), _about(case, name))


def file_name(name: str) -> str:
    """Return the name of a call's file: of `tcp-name:changed` it is tcp-name.changed.pcapng."""
    return files.plain(name) + SUFFIX


def _recorded(case: Case, name: str) -> list[_Recorded]:
    """Return the captures of a call's interfaces in the call's direction, each once.

    A capture without any packet of the call is kept: it shows that nothing passed there.
    """
    found: dict[Path, _Recorded] = {}
    record = case.evidence.call(name)
    if record is None:
        raise BadEvidence(f"no packet of {name} was recorded: {case.unseen(name)}")
    for hop in hops.hops_of_call(case, name):
        for tap in hop.taps:
            if tap.capture is None or (whole := _whole(tap.capture)) is None:
                continue
            path = tap.capture.path
            if path not in found:
                found[path] = _Recorded(whole, _interface(whole, tap, tap.capture, hop))
            if tap.connection:
                _comment(found[path], tap.connection, tap.capture, hop, record)
    if not any(one.comments for one in found.values()):
        why = case.unseen(name) or "; ".join(hop.why for hop in hops.hops_of_call(case, name))
        raise BadEvidence(f"no packet of {name} was recorded: {why or 'it asked the API server'}")
    return [*found.values()]


def _whole(file: CaptureFile) -> pcap.Capture | None:
    """Read a capture; return None where it is missing or damaged, as the hop's reason says."""
    try:
        return pcap.capture(file.path)
    except BadEvidence:
        return None


def _interface(whole: pcap.Capture, tap: Tap, file: CaptureFile, hop: Hop) -> pcapng.Interface:
    place = "between the pods" if hop.between_pods else f"{hop.sender} to {hop.receiver}"
    about = f"captures/{file.path.name}; tcpdump lost {file.dropped} packets; {place}"
    name = f"{tap.pod} {tap.interface}"
    return pcapng.Interface(_safe(name), _safe(about), whole.link, whole.places)


def _comment(
    one: _Recorded, connection: Connection, file: CaptureFile, hop: Hop, record: CallRecord
) -> None:
    """Add a connection's packets to what is the call's, and comment on those that matter."""
    for segment in connection.segments:
        one.comments[segment.frame] = []
    first = record.started - CLOCK_SLACK
    if connection.began < first:
        frames = (s.frame for s in connection.segments if s.time >= first)
        if frame := next(frames, None):
            one.comments[frame].append(SHARED)
    for remark in comments.find_remarks(connection, record.marker.encode()):
        said = one.comments[remark.segment.frame]
        sender, receiver = hop.way(remark.side)
        said.append(_safe(f"{sender} to {receiver}: {remark.words}"))
        if remark.kind == "open":
            said += [_safe(text) for text in _beginning(connection, file, hop)]
        if remark.kind == "hello" and remark.side == "client" and hop.note:
            said.append(hop.note)


def _beginning(connection: Connection, file: CaptureFile, hop: Hop) -> Iterator[str]:
    """Say where a connection goes, where its addresses do not, and how it is secured."""
    host, port = connection.server
    if connection.server == REDIRECTED:
        asked = address_asked(file, connection)
        meant = f"; the application connects to {asked[0]}:{asked[1]}" if asked else ""
        yield f"redirected to the sidecar's port {port}{meant}"
    elif not hop.between_pods:
        yield f"passed by the sidecar to the application at {host}:{port}"
    yield f"{SHOWS[hop.security]} from here to {hop.receiver}: {hop.why}"


def _packets(recorded: Sequence[_Recorded]) -> list[pcapng.Packet]:
    """Return all packets by time; those of the same time in the call's direction."""
    found = [
        pcapng.Packet(number, frame.stamp, frame.data, frame.length, tuple(said))
        for number, one in enumerate(recorded)
        for frame in one.capture.frames
        if (said := one.comments.get(frame.number)) is not None
    ]
    ticks = [10 ** (9 - one.interface.places) for one in recorded]
    return sorted(found, key=lambda packet: packet.stamp * ticks[packet.interface])


def _about(case: Case, name: str) -> str:
    """Describe the call for the file's head: its command, its outcome, how each hop was secured."""
    record, evidence = case.evidence.call(name), case.evidence
    if record is None:
        return ""
    stack = evidence.stack
    lines = [
        f"Call {name} of {evidence.failure}, recorded {evidence.recorded_at} in run {evidence.run}:"
        f" {evidence.cluster} cluster, Istio {stack['istio']}, Envoy {stack['envoy']}.",
        f"$ {record.typed}",
        f"Outcome: {record.outcome} {record.status or ''}".rstrip() + ".",
        f"Marker: {record.marker}",
    ]
    for hop in hops.hops_of_call(case, name):
        beside = f"; {hop.note}" if hop.note else ""
        lines.append(f"{hop.sender} to {hop.receiver}: {SHOWS[hop.security]}: {hop.why}{beside}")
    lines.append("Packets are as they were recorded. The comments are the lab's.")
    return "\n".join(_safe(line) for line in lines)


def _safe(text: str) -> str:
    return redact(printable(text))
