"""Captures and the TCP connections in them.

Reads classic pcap as tcpdump writes it (Ethernet, raw IP, Linux cooked; IPv4), and joins
segments by sequence number (RFC 9293). What is missing is said, never guessed: a hole in
the sequence space, a segment cut off, a connection whose SYN is not there.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from lab.common import untrusted
from lab.common.errors import BadEvidence

Address = tuple[str, int]
"""(IPv4 address, port)"""

TCP, UDP = 6, 17
"""Numbers of the protocols in an IP header."""
FIN, SYN, RST, ACK = 1, 2, 4, 16
# Byte order, and how many decimal places of a second a stamp has.
_MAGIC = {b"\xd4\xc3\xb2\xa1": ("<", 6), b"\xa1\xb2\xc3\xd4": (">", 6)}
_MAGIC |= {b"\x4d\x3c\xb2\xa1": ("<", 9), b"\xa1\xb2\x3c\x4d": (">", 9)}
# Bytes before the IP header, and where the two-byte protocol number stands in them.
_LINK = {1: (14, 12), 101: (0, None), 113: (16, 14), 276: (20, 0)}


class Frame(NamedTuple):
    """One packet as a capture holds it."""

    number: int
    """In its capture, from 1 on, as tshark counts."""
    stamp: int
    """Unix time, in ticks of its capture."""
    data: bytes
    length: int
    """Bytes that it had on the wire; more than `data` has where it was cut."""


@dataclass(frozen=True)
class Capture:
    """A capture file as it is."""

    link: int
    """Link type: https://www.tcpdump.org/linktypes.html."""
    places: int
    """Decimal places of a second that a stamp has: 6 or 9."""
    frames: tuple[Frame, ...]


class Segment(NamedTuple):
    """One TCP segment."""

    time: float
    source: Address
    target: Address
    sequence: int
    acknowledged: int
    flags: int
    payload: bytes
    cut: bool
    """The capture holds less of it than the wire did."""
    frame: int
    """Its number in the capture, as tshark counts."""


def read(path: Path) -> list[Segment]:
    """Return every TCP segment of a capture; raises BadEvidence as `capture` does."""
    return segments(content(path), path.name)


def segments(data: bytes, name: str) -> list[Segment]:
    """Return the same of a file's content; name: of the capture, for what is raised."""
    whole = parse(data, name)
    found = (_segment(frame, whole) for frame in whole.frames)
    return [segment for segment in found if segment]


def capture(path: Path) -> Capture:
    """Return every packet of a capture.

    Raises BadEvidence for a file that is missing, empty, cut off or no classic pcap.
    """
    return parse(content(path), path.name)


def content(path: Path) -> bytes:
    """Return a capture file's bytes. Raises BadEvidence where it cannot be read."""
    return untrusted.read_bytes(path, path.parent)


def parse(data: bytes, name: str) -> Capture:
    """Return every packet of a file's content; name: of the capture, for what is raised."""
    if len(data) < 24:
        raise BadEvidence(f"capture {name} is empty or cut off in its header")
    if data[:4] not in _MAGIC:
        raise BadEvidence(f"capture {name} is not a pcap file")
    order, places = _MAGIC[data[:4]]
    link = struct.unpack_from(order + "I", data, 20)[0] & 0x0FFFFFFF
    if link not in _LINK:
        raise BadEvidence(f"capture {name} has link type {link}, which is not read here")
    return Capture(link, places, tuple(_frames(data, order, 10**places, name)))


def _frames(data: bytes, order: str, ticks: int, name: str) -> Iterator[Frame]:
    header, position, number = struct.Struct(order + "IIII"), 24, 0
    while position < len(data):
        if position + 16 > len(data):
            raise BadEvidence(f"capture {name} is cut off at byte {position}")
        seconds, fraction, held, length = header.unpack_from(data, position)
        position += 16
        if held > length or position + held > len(data):
            raise BadEvidence(f"capture {name} is cut off at byte {position}")
        number += 1
        stamp = seconds * ticks + fraction
        yield Frame(number, stamp, data[position : position + held], length)
        position += held


class Packet(NamedTuple):
    """What an IPv4 packet carries."""

    source: str
    target: str
    payload: bytes
    cut: bool
    fragment: bool
    """It is not the first of its datagram, and so begins without the header of what it carries."""


def ipv4(frame: Frame, whole: Capture, carried: int) -> Packet | None:
    """Return the packet of a frame; None: it is none, or carries another protocol (RFC 791)."""
    skip, protocol = _LINK[whole.link]
    if protocol is not None and frame.data[protocol : protocol + 2] != b"\x08\x00":
        return None
    packet = frame.data[skip:]
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != carried:
        return None
    total, start = struct.unpack_from(">H", packet, 2)[0], (packet[0] & 15) * 4
    # Segmentation offload leaves a length of 0 in frames above 64 KiB.
    end = total or len(packet)
    fragment = bool(struct.unpack_from(">H", packet, 6)[0] & 0x1FFF)
    addresses = _ip(packet[12:16]), _ip(packet[16:20])
    return Packet(*addresses, packet[start:end], len(packet) < end, fragment)


def _segment(frame: Frame, whole: Capture) -> Segment | None:
    packet = ipv4(frame, whole, TCP)
    if packet is None or len(packet.payload) < 20:
        return None
    tcp = packet.payload
    sport, dport, sequence, acknowledged, offset, flags = struct.unpack_from(">HHIIBB", tcp)
    return Segment(
        frame.stamp / 10**whole.places,
        (packet.source, sport),
        (packet.target, dport),
        sequence,
        acknowledged,
        flags,
        tcp[(offset >> 4) * 4 :],
        packet.cut,
        frame.number,
    )


def _ip(packed: bytes) -> str:
    return socket.inet_ntoa(packed)


Side = Literal["client", "server"]


@dataclass
class Half:
    """What one side of a connection sent."""

    start: int | None = None
    """Sequence number of its SYN."""
    fin: bool = False
    rst: bool = False
    pieces: dict[int, bytes] = field(default_factory=dict)
    """Payloads by offset from the first byte."""
    acknowledged: int = 0
    """Bytes that the other side says it received."""
    cut: bool = False

    def join(self) -> tuple[bytes, bool]:
        """Return the bytes from the first on, and whether all of them are there."""
        joined = bytearray()
        whole = not self.cut
        for offset, piece in sorted(self.pieces.items()):
            if offset > len(joined):
                whole = False
                break
            joined += piece[len(joined) - offset :]
        return bytes(joined), whole and self.acknowledged <= len(joined) + int(self.fin)


@dataclass
class Connection:
    """One TCP connection. The client is who sent the SYN, or else the first segment."""

    client: Address
    server: Address
    began: float
    """Time of the SYN (or of the first segment seen), Unix seconds."""
    halves: dict[Side, Half] = field(default_factory=lambda: {"client": Half(), "server": Half()})
    segments: list[Segment] = field(default_factory=list)
    first_frame: int = 0
    """Number of the first frame that carries bytes; 0: none does."""
    older: bool = False
    """It began before the capture: its first bytes here are not the first that it carried."""
    _bytes: dict[Side, tuple[bytes, bool]] = field(default_factory=dict)

    @property
    def syn_seen(self) -> bool:
        return self.halves["client"].start is not None

    def side_of(self, segment: Segment) -> Side:
        """Return who sent a segment of it."""
        return "client" if segment.source == self.client else "server"

    def sent(self, side: Side) -> bytes:
        """Return the bytes that one side sent, in order."""
        return self._joined(side)[0]

    def offset(self, segment: Segment) -> int:
        """Return where a segment's payload stands in what its side sent, in bytes."""
        start = self.halves[self.side_of(segment)].start or 0
        return (segment.sequence + bool(segment.flags & SYN) - start - 1) & 0xFFFFFFFF

    @property
    def whole(self) -> bool:
        """Nothing is missing between the SYN and the last byte that was acknowledged."""
        return self.syn_seen and all(self._joined(side)[1] for side in self.halves)

    def _joined(self, side: Side) -> tuple[bytes, bool]:
        if side not in self._bytes:
            self._bytes[side] = self.halves[side].join()
        return self._bytes[side]

    @property
    def ended_by(self) -> str:
        """`RST by server`, `FIN by client, server`, or `still open`."""
        for flag in ("rst", "fin"):
            who = [side for side, half in self.halves.items() if getattr(half, flag)]
            if who:
                return f"{flag.upper()} by {', '.join(who)}"
        return "still open"


def connections(segments: Iterable[Segment]) -> list[Connection]:
    """Return a capture's connections by their beginning; a SYN of its own makes a new one."""
    open_: dict[frozenset[Address], Connection] = {}
    found: list[Connection] = []
    for segment in segments:
        key = frozenset((segment.source, segment.target))
        known = open_.get(key)
        if known is None or _begins_anew(segment, known):
            known = _new(segment)
            open_[key] = known
            found.append(known)
        _add(known, segment)
    return found


def from_the_middle(connection: Connection, client: Address) -> Connection:
    """Return a connection whose SYN was not captured: its bytes from the first one seen on.

    client: whose side is the client's, which only a SYN would tell.
    """
    server = connection.server if client == connection.client else connection.client
    rebuilt = Connection(client, server, connection.began, older=True)
    sides: Mapping[Side, Address] = {"client": client, "server": server}
    for side, end in sides.items():
        sent = (one.sequence for one in connection.segments if one.source == end)
        told = (one.acknowledged for one in connection.segments if one.target == end)
        first = next(sent, next(told, None))
        rebuilt.halves[side].start = None if first is None else first - 1
    for segment in connection.segments:
        _add(rebuilt, segment)
    return rebuilt


def _begins_anew(segment: Segment, known: Connection) -> bool:
    if segment.flags & (SYN | ACK) != SYN:
        return False
    same = known.client == segment.source and known.halves["client"].start == segment.sequence
    return not same  # the same SYN again is a retransmission


def _new(segment: Segment) -> Connection:
    if segment.flags & (SYN | ACK) == SYN | ACK:  # its SYN was not seen
        return Connection(segment.target, segment.source, segment.time)
    return Connection(segment.source, segment.target, segment.time)


def _add(connection: Connection, segment: Segment) -> None:
    side = connection.side_of(segment)
    half, other = connection.halves[side], connection.halves[_other(side)]
    connection.segments.append(segment)
    connection._bytes.clear()
    sequence = segment.sequence
    if segment.flags & SYN:
        half.start = sequence
        sequence += 1
    half.fin |= bool(segment.flags & FIN)
    half.rst |= bool(segment.flags & RST)
    if segment.payload and half.start is not None:
        connection.first_frame = connection.first_frame or segment.frame
        offset = (sequence - half.start - 1) & 0xFFFFFFFF
        if offset < 1 << 31 and len(half.pieces.get(offset, b"")) < len(segment.payload):
            half.pieces[offset] = segment.payload
    half.cut |= segment.cut or (bool(segment.payload) and half.start is None)
    if segment.flags & ACK and other.start is not None and not segment.flags & RST:
        said = (segment.acknowledged - other.start - 1) & 0xFFFFFFFF
        if said < 1 << 31:
            other.acknowledged = max(other.acknowledged, said)


def _other(side: Side) -> Side:
    return "server" if side == "client" else "client"
