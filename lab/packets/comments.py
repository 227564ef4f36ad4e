"""What the packets of one connection show, in plain words, each at the packet that shows it.

Only what a passive reader sees: of TLS 1.3 the hellos, and that the rest is encrypted.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Literal, NamedTuple

from lab.common.text import printable
from lab.packets import tls
from lab.packets.pcap import FIN, RST, SYN, Connection, Segment, Side
from lab.packets.tls import HELLO_INSIDE

RemarkKind = Literal["open", "hello", "encrypted", "plaintext", "marker", "alert", "reset", "close"]
FIRST_LINE = 60
"""Most characters of a plaintext's first line that are shown."""


class Remark(NamedTuple):
    """One thing that a packet shows."""

    segment: Segment
    side: Side
    """Who sent it."""
    kind: RemarkKind
    words: str


def find_remarks(connection: Connection, marker: bytes) -> list[Remark]:
    """Return all remarks on a connection in the order of its packets.

    marker: the call's own random bytes.
    """
    found = [*_flags(connection)]
    for side in connection.halves:
        found += _Half(connection, side, marker).remarks()
    return sorted(found, key=lambda remark: (remark.segment.time, remark.segment.frame))


def client_hello(connection: Connection | None) -> bytes:
    """Return the ClientHello that a connection begins with; empty where it begins otherwise."""
    if connection is None:
        return b""
    first = next(tls.messages(tls.records(connection.sent("client"))), None)
    return first.body if first and first.kind == tls.CLIENT_HELLO else b""


def encrypted(data: bytes) -> tuple[int, int]:
    """Return where TLS records begin and end in what one side sent; the rest can be read."""
    begins = 0
    if not tls.records(data).records:
        hello = HELLO_INSIDE.search(data)
        begins = hello.start() if hello else len(data)
    read = tls.records(data[begins:])
    return begins, len(data) - (0 if read.cut else len(read.rest))


def _flags(connection: Connection) -> Iterator[Remark]:
    """Yield the first SYN, each side's first FIN, and every RST."""
    seen: set[tuple[Side, int]] = set()
    for segment in connection.segments:
        side = connection.side_of(segment)
        if segment.flags & SYN and side == "client" and (side, SYN) not in seen:
            seen.add((side, SYN))
            yield Remark(segment, side, "open", "SYN: opens a connection")
        if segment.flags & RST:
            yield Remark(segment, side, "reset", "RST: breaks it off")
        elif segment.flags & FIN and (side, FIN) not in seen:
            seen.add((side, FIN))
            yield Remark(segment, side, "close", "FIN: closes its side")


class _Half:
    """One direction of a connection, read from its first byte to its last."""

    def __init__(self, connection: Connection, side: Side, marker: bytes) -> None:
        self._side, self._marker = side, marker
        self._data = connection.sent(side)
        self._segments = _in_order(connection, side)
        """What brought each part of the data, and before which byte that part ends."""

    def remarks(self) -> Iterator[Remark]:
        begins, ends = encrypted(self._data)
        yield from self._as_plaintext(0, begins)
        yield from self._as_tls(tls.records(self._data[begins:]), begins)
        yield from self._as_plaintext(ends, len(self._data))
        yield from self._markers()

    def _as_tls(self, read: tls.Records, begins: int) -> Iterator[Remark]:
        ends, position = [], begins
        for record in read.records:
            position += 5 + len(record.body)
            ends.append(position)
        for message in tls.messages(read):
            if words := _said(message, self._side):
                yield self._at(ends[message.record] - 1, "hello", words)
        for alert in tls.alert_messages(read):
            name = tls.ALERTS.get(alert.kind, "of no known name")
            yield self._at(ends[alert.record] - 1, "alert", f"TLS alert {alert.kind} {name}")
        kinds = [record.kind for record in read.records]
        if tls.APPLICATION_DATA in kinds:
            number = kinds.index(tls.APPLICATION_DATA)
            words = "its first encrypted record: cannot be read"
            yield self._at(ends[number] - 1, "encrypted", words)

    def _as_plaintext(self, begins: int, ends: int) -> Iterator[Remark]:
        if ends > begins:
            line = first_line(self._data[begins:ends])
            words = f"plaintext, {ends - begins} bytes in all: {line}"
            yield self._at(begins, "plaintext", words)

    def _markers(self) -> Iterator[Remark]:
        """Yield one remark for each packet with which a marker is complete."""
        counts: dict[Segment, int] = {}
        position = self._data.find(self._marker) if self._marker else -1
        while position >= 0:
            segment = self._with(position + len(self._marker) - 1)
            counts[segment] = counts.get(segment, 0) + 1
            position = self._data.find(self._marker, position + len(self._marker))
        for segment, count in counts.items():
            words = "the call's marker can be read in it" + (f", {count}x" if count > 1 else "")
            yield Remark(segment, self._side, "marker", words)

    def _at(self, offset: int, kind: RemarkKind, words: str) -> Remark:
        return Remark(self._with(offset), self._side, kind, words)

    def _with(self, offset: int) -> Segment:
        """Return the packet that brought a byte."""
        number = bisect.bisect_right(self._segments, offset, key=lambda part: part[0])
        return self._segments[min(number, len(self._segments) - 1)][1]


def _in_order(connection: Connection, side: Side) -> list[tuple[int, Segment]]:
    """Return where each packet's bytes end in what a side sent; of a repetition, the first."""
    first: dict[int, Segment] = {}
    for segment in connection.segments:
        if segment.payload and connection.side_of(segment) == side:
            known = first.setdefault(connection.offset(segment), segment)
            if len(known.payload) < len(segment.payload):
                first[connection.offset(segment)] = segment
    found: list[tuple[int, Segment]] = []
    for offset, segment in sorted(first.items()):
        end = offset + len(segment.payload)
        if not found or end > found[-1][0]:
            found.append((end, segment))
    return found


def _said(message: tls.Message, side: Side) -> str:
    """Return a handshake message in words; empty where it says nothing to a reader."""
    if message.kind == tls.CLIENT_HELLO and (hello := tls.client_hello(message.body)):
        alpn = ", ".join(hello.alpn) or "none"
        words = f"ClientHello: SNI {hello.sni or 'none'}; ALPN offered: {alpn}; "
        return printable(words + f"versions offered: {', '.join(hello.versions)}")
    if message.kind == tls.SERVER_HELLO and (answer := tls.server_hello(message.body)):
        if answer.retry:
            return "HelloRetryRequest: the client is asked for another hello"
        hidden = "; all that follows is encrypted" if answer.version == "TLSv1.3" else ""
        return f"ServerHello: {answer.version} chosen{hidden}"
    if message.kind == tls.CERTIFICATE_REQUEST:
        return "a client certificate is asked for, in the clear"
    if message.kind == tls.CERTIFICATE:
        given = int.from_bytes(message.body[:3], "big") > 0
        return f"the {side}'s certificate, in the clear" if given else f"no {side} certificate"
    return ""


def first_line(data: bytes) -> str:
    """Return the beginning of a plaintext as one line; `(binary)` where little of it is text."""
    line = data.split(b"\n", 1)[0].rstrip(b"\r")
    shown = line[:FIRST_LINE]
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in shown)
    if sum(32 <= byte < 127 for byte in shown) * 2 <= len(shown):
        return "(binary)"
    return text + ("…" if len(line) > FIRST_LINE else "")
