"""Datagrams of UDP in a capture (RFC 768)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lab.packets import pcap
from lab.packets.pcap import UDP, Address

HEADER = 8
"""Bytes before the payload: two ports, a length, a checksum."""


class Datagram(NamedTuple):
    """One datagram. Of one that was sent in fragments, the first."""

    time: float
    source: Address
    target: Address
    payload: bytes


def read(path: Path) -> list[Datagram]:
    """Return every datagram of a capture; raises BadEvidence as `pcap.capture` does."""
    return list(_datagrams(pcap.capture(path)))


def _datagrams(whole: pcap.Capture) -> Iterator[Datagram]:
    for frame in whole.frames:
        packet = pcap.ipv4(frame, whole, UDP)
        if packet is None or packet.fragment or len(packet.payload) < HEADER:
            continue
        sport, dport, length = struct.unpack_from(">HHH", packet.payload)
        yield Datagram(
            frame.stamp / 10**whole.places,
            (packet.source, sport),
            (packet.target, dport),
            packet.payload[HEADER:length],
        )
