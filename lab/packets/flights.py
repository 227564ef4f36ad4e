"""A connection as flights: what one side sent before the other answered, and how it can be read."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from lab.packets import comments
from lab.packets.comments import Remark
from lab.packets.pcap import Connection, Segment, Side

FlightKind = Literal["open", "hello", "encrypted", "plaintext", "alert", "reset", "close"]


class Flight(NamedTuple):
    """One thing that crosses a hop."""

    time: float
    side: Side
    kind: FlightKind
    words: tuple[str, ...]

    @property
    def readable(self) -> str:
        """What a reader in between learns from it."""
        told = {"plaintext": "can be read", "encrypted": "cannot be read"}
        return told.get(self.kind, "in the clear")


def read_flights(connection: Connection, marker: bytes) -> list[Flight]:
    """Return a connection's flights by time; of its end the first RST, or else the first FIN."""
    found = comments.find_remarks(connection, marker)
    shown: dict[int, list[Remark]] = defaultdict(list)
    for remark in found:
        shown[remark.segment.frame].append(remark)
    hidden = {side: comments.encrypted(connection.sent(side)) for side in connection.halves}
    payloads = (segment for segment in connection.segments if segment.payload)
    runs = itertools.groupby(sorted(payloads, key=_when), connection.side_of)
    told = [*_signs(found)]
    for side, run in runs:
        segments = [*run]
        begins, ends = hidden[side]
        within = begins <= connection.offset(segments[0]) < ends
        told.append(_flight(side, segments, shown, within))
    return sorted(told, key=lambda flight: flight.time)


def _when(segment: Segment) -> tuple[float, int]:
    return segment.time, segment.frame


def _signs(found: list[Remark]) -> Iterator[Flight]:
    """Return SYN, RST, and who closed first, where nobody broke it off."""
    kinds: tuple[FlightKind, ...] = ("open", "reset", "close")
    signs = {kind: [remark for remark in found if remark.kind == kind] for kind in kinds}
    if signs["reset"]:
        signs["close"] = []
    for kind in kinds:
        for remark in signs[kind][:1]:
            yield Flight(remark.segment.time, remark.side, kind, (remark.words,))


def _flight(
    side: Side, run: list[Segment], shown: Mapping[int, list[Remark]], encrypted: bool
) -> Flight:
    """Return what one side sent in a run; encrypted: its first byte is part of a TLS record."""
    found = [remark for segment in run for remark in shown.get(segment.frame, [])]
    words = [remark.words for remark in found if remark.kind in ("hello", "alert")]
    kind: FlightKind = "hello" if any(remark.kind == "hello" for remark in found) else "alert"
    count, first = sum(len(segment.payload) for segment in run), run[0]
    if not words:
        kind = "encrypted" if encrypted else "plaintext"
        words = [f"{kind}, {count} bytes"]
        words += [] if encrypted else [comments.first_line(first.payload)]
    words += [remark.words for remark in found if remark.kind == "marker"]
    return Flight(first.time, side, kind, tuple(words))
