"""A connection as flights: what one side sent before the other answered, and how it can be read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal, NamedTuple

from lab import remarks
from lab.packets import Connection, Segment, Side
from lab.remarks import Remark

Kind = Literal["open", "hello", "encrypted", "plaintext", "alert", "reset", "close"]


class Flight(NamedTuple):
    """One thing that crosses a hop."""

    time: float
    side: Side
    kind: Kind
    words: tuple[str, ...]

    @property
    def readable(self) -> str:
        """What a reader in between learns from it."""
        told = {"plaintext": "can be read", "encrypted": "cannot be read"}
        return told.get(self.kind, "in the clear")


def of(connection: Connection, marker: bytes) -> list[Flight]:
    """All flights of a connection by time; of its ends only the first FIN, or every RST."""
    found = remarks.of(connection, marker)
    told = [*_signs(found)]
    payloads = sorted(
        (s for s in connection.segments if s.payload), key=lambda s: (s.time, s.frame)
    )
    for side, run in itertools.groupby(payloads, connection.side_of):
        told.append(_flight(connection, side, [*run], found))
    return sorted(told, key=lambda flight: flight.time)


def _signs(found: list[Remark]) -> Iterator[Flight]:
    """SYN, RST, and who closed first, where nobody broke it off."""
    resets = [remark for remark in found if remark.kind == "reset"]
    closes = [remark for remark in found if remark.kind == "close"][:1]
    for remark in found:
        if remark.kind == "open":
            yield Flight(remark.segment.time, remark.side, "open", (remark.words,))
    for remark in resets[:1] or closes:
        kind: Kind = "reset" if resets else "close"
        yield Flight(remark.segment.time, remark.side, kind, (remark.words,))


def _flight(connection: Connection, side: Side, run: list[Segment], found: list[Remark]) -> Flight:
    shown = [remark for remark in found if remark.segment in run and remark.side == side]
    words = [remark.words for remark in shown if remark.kind in ("hello", "alert")]
    kind: Kind = "hello" if any(remark.kind == "hello" for remark in shown) else "alert"
    count, first = sum(len(segment.payload) for segment in run), run[0]
    begins, ends = remarks.encrypted(connection.sent(side))
    if not words and begins <= connection.offset(first) < ends:
        kind, words = "encrypted", [f"encrypted, {count} bytes"]
    elif not words:
        kind = "plaintext"
        words = [f"plaintext, {count} bytes", remarks.first_line(first.payload)]
    words += [remark.words for remark in shown if remark.kind == "marker"]
    return Flight(first.time, side, kind, tuple(words))
