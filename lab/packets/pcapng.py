"""Writes pcapng: packets of several interfaces in one file, with comments that say what is seen.

The format is that of draft-ietf-opsawg-pcapng: one section, little-endian, with its length not
said; an Interface Description Block for each capture, an Enhanced Packet Block for each packet.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

SECTION_HEADER, INTERFACE_DESCRIPTION, ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_END_OF_OPTIONS, _COMMENT = 0, 1
_USER_APPLICATION = 4
_NAME, _DESCRIPTION, _RESOLUTION = 2, 3, 9
LONGEST_OPTION = 65_535
"""Bytes that an option can hold; a longer text is cut."""


@dataclass(frozen=True)
class Interface:
    """Where packets were recorded."""

    name: str
    description: str
    link: int
    """Link type: https://www.tcpdump.org/linktypes.html."""
    places: int
    """Decimal places of a second that its stamps have."""


@dataclass(frozen=True)
class Packet:
    """One packet as it was recorded, and what is to be said of it."""

    interface: int
    """Place of its interface among all."""
    stamp: int
    """Unix time, in ticks of its interface."""
    data: bytes
    length: int
    """Bytes that it had on the wire."""
    comments: tuple[str, ...] = ()


def file(
    interfaces: Sequence[Interface], packets: Iterable[Packet], comment: str, application: str
) -> bytes:
    """Return a whole file: one section with its comment, the interfaces, and the packets."""
    blocks = [_section_header(comment, application)]
    blocks += [_interface(one) for one in interfaces]
    blocks += [_packet(one) for one in packets]
    return b"".join(blocks)


def _section_header(comment: str, application: str) -> bytes:
    major, minor, unknown_length = 1, 0, -1
    fixed = struct.pack("<IHHq", _BYTE_ORDER_MAGIC, major, minor, unknown_length)
    said = [(_COMMENT, comment.encode()), (_USER_APPLICATION, application.encode())]
    return _block(SECTION_HEADER, fixed, said)


def _interface(one: Interface) -> bytes:
    reserved, no_limit = 0, 0
    said = [
        (_NAME, one.name.encode()),
        (_DESCRIPTION, one.description.encode()),
        (_RESOLUTION, bytes([one.places])),
    ]
    return _block(INTERFACE_DESCRIPTION, struct.pack("<HHI", one.link, reserved, no_limit), said)


def _packet(one: Packet) -> bytes:
    high, low = one.stamp >> 32, one.stamp & 0xFFFFFFFF
    fixed = struct.pack("<IIIII", one.interface, high, low, len(one.data), one.length)
    comments = [(_COMMENT, text.encode()) for text in one.comments]
    return _block(ENHANCED_PACKET, fixed + _padded(one.data), comments)


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    """Return a block with its length before and after it, so that it can be read backwards."""
    body += b"".join(_options(options))
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _options(options: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """Return the options that say something, and their end; nothing where none does."""
    said = [(code, _cut(value)) for code, value in options if value]
    for code, value in said:
        yield struct.pack("<HH", code, len(value)) + _padded(value)
    if said:
        yield struct.pack("<HH", _END_OF_OPTIONS, 0)


def _cut(value: bytes) -> bytes:
    """Return a text no longer than an option may be, and not cut in the middle of a letter."""
    if len(value) <= LONGEST_OPTION:
        return value
    return value[:LONGEST_OPTION].decode(errors="ignore").encode()


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
