"""Reads capture files of pods' interfaces, each once, and joins their packets to connections."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from lab.common.errors import BadEvidence
from lab.common.once import Once
from lab.packets import pcap
from lab.packets.pcap import SYN, Address, Connection

REDIRECTED: Address = ("127.0.0.1", 15001)
"""Where a pod's own rules send what its application sends: the sidecar's outbound listener."""


@dataclass(frozen=True)
class CaptureFile:
    """Packets of one interface of one pod, and how many tcpdump says it lost."""

    path: Path
    dropped: int
    captured: int | None = None
    """How many packets tcpdump says it wrote; a file that holds fewer was cut off."""


def on_loopback(
    lo: CaptureFile, marker: bytes, *, source: Address | None = None
) -> Literal[True, False] | None:
    """Return whether the marker crossed a pod's `lo` in the clear, on the application's side.

    source: only segments from this address (the client's podIP:port). None: cannot be said.
    """
    if lo.dropped:
        return None
    try:
        segments = read_segments(lo)
    except BadEvidence:
        return None
    sent: dict[Address, bytearray] = {}
    for segment in segments:
        if source is None or segment.source == source:
            sent.setdefault(segment.source, bytearray()).extend(segment.payload)
    return any(marker in data for data in sent.values())


def senders(capture: CaptureFile) -> frozenset[str] | None:
    """Return `IP:port` of whoever sent anything; None where the capture may lack some."""
    if capture.dropped:
        return None
    try:
        segments = read_segments(capture)
    except BadEvidence:
        return None
    return frozenset(f"{one.source[0]}:{one.source[1]}" for one in segments)


class _Read:
    """A capture's segments, and the connections that they are joined to when they are asked for."""

    def __init__(self, segments: Sequence[pcap.Segment]) -> None:
        self.segments = tuple(segments)

    @cached_property
    def connections(self) -> tuple[Connection, ...]:
        return tuple(pcap.connections(self.segments))

    @cached_property
    def redirected(self) -> tuple[Connection, ...]:
        """As a client's `lo` has them."""
        return tuple(pcap.connections(_stitched(self.segments)))


_ONCE: Once[_Read] = Once(64 << 20)


@functools.lru_cache(maxsize=64)
def _read_once(path: Path, _size: int, _changed: int) -> _Read:
    data = pcap.content(path)
    return _ONCE(data, lambda: _Read(pcap.segments(data, path.name)))


def _version(capture: CaptureFile) -> tuple[Path, int, int]:
    """Return a file as it is now. Raises BadEvidence where there is none."""
    try:
        info = capture.path.stat()
    except OSError:
        raise BadEvidence(f"capture {capture.path.name} is missing") from None
    return capture.path, info.st_size, info.st_mtime_ns


def read_segments(capture: CaptureFile) -> Sequence[pcap.Segment]:
    """Return a capture's segments. Raises BadEvidence where it is damaged or not complete."""
    return _whole(capture).segments


def read_connections(capture: CaptureFile, redirected: bool) -> Sequence[Connection]:
    """Return the same joined to connections; redirected: as a client's `lo` has them."""
    found = _whole(capture)
    return found.redirected if redirected else found.connections


def _whole(capture: CaptureFile) -> _Read:
    found, wanted = _read_once(*_version(capture)), capture.captured
    if wanted is not None and len(found.segments) != wanted:
        held = f"holds {len(found.segments)} packets of {wanted} recorded"
        raise BadEvidence(f"capture {capture.path.name} {held}")
    return found


def _stitched(segments: Sequence[pcap.Segment]) -> Iterable[pcap.Segment]:
    """Yield segments in which a sidecar answers under its own address on a client's `lo`.

    On a client's `lo` one connection has two address pairs: its answers get the listener's. They
    go to the application's own address, even where conntrack gave the connection another.
    """
    callers = {segment.source for segment in segments if segment.target == REDIRECTED}
    begun, given = _begun(segments), dict[Address, Address]()
    for segment in segments:
        if segment.flags & SYN and segment.acknowledged in begun:
            given[segment.target] = begun[segment.acknowledged]
        caller = given.get(segment.target, segment.target)
        yield segment._replace(source=REDIRECTED, target=caller) if caller in callers else segment


def _begun(segments: Iterable[pcap.Segment]) -> dict[int, Address]:
    """Return who began a redirected connection, by the number that its answer acknowledges."""
    return {
        (segment.sequence + 1) & 0xFFFFFFFF: segment.source
        for segment in segments
        if segment.target == REDIRECTED and segment.flags & SYN
    }


def redirected_from(lo: CaptureFile, own: Address, window: tuple[float, float]) -> Address:
    """Return the address from which a connection of a pod's application came to its sidecar.

    All that goes out is redirected to one port. Where the pod's conntrack remembers an earlier
    connection from the application's address, to whomever, the kernel gives the new one another
    source port. Its answer still goes to the application's own, and acknowledges its SYN.
    https://docs.kernel.org/networking/nf_conntrack-sysctl.html

    own: the application's address. window: Unix seconds in which it connected. It is `own`
    where nothing else can be read.
    """
    try:
        segments = read_segments(lo)
    except BadEvidence:
        return own
    begun, (first, last) = _begun(segments), window
    answered = [
        s for s in segments if s.target == own and s.flags & SYN and first <= s.time <= last
    ]
    found = [begun[s.acknowledged] for s in answered if s.acknowledged in begun]
    return found[-1] if found else own


def address_asked(capture: CaptureFile, connection: Connection) -> Address | None:
    """Return for whom a redirected connection was meant: its answers come in that name."""
    answers = {s.frame for s in connection.segments if s.source == REDIRECTED}
    return next((s.source for s in read_segments(capture) if s.frame in answers), None)
