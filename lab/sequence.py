"""A call drawn as what crosses each of its hops, in time order.

Life lines from left to right: the client's application, its sidecar, between the pods, the
server's sidecar, its application; a gateway where one stands between, no sidecar where there is none.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lab import hops, remarks
from lab.display import Picture, Table, printable, wrap
from lab.draw import STYLES
from lab.errors import BadEvidence
from lab.evidence import CallRecord
from lab.hops import End, Hop
from lab.observe import CLOCK_SLACK, Case
from lab.packets import Connection, Segment, Side
from lab.redaction import redact
from lab.remarks import Remark
from lab.report import SHOWS

MOST_ROWS = 36
"""A longer exchange is drawn with its first and its last rows."""
BETWEEN = "between\nthe pods"


class Crossing(NamedTuple):
    """One arrow: what one side of a hop sent before the other answered."""

    time: float
    hop: Hop
    side: Side
    kind: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Sequence_:
    """All that is drawn of a call."""

    record: CallRecord
    hops: tuple[Hop, ...]
    crossings: tuple[Crossing, ...]
    left_out: int


def picture(case: Case, name: str) -> Picture:
    """The drawing as SVG, with its words and its table. The same evidence gives the same bytes.

    Raises BadEvidence where nothing can be seen of the call, and says why.
    """
    record = case.evidence.call(name)
    found = hops.of(case, name)
    if record is None or not found:
        raise BadEvidence(f"{name} cannot be drawn: {case.unseen(name) or 'no hop is seen of it'}")
    crossings = sorted(_crossings(found, record), key=lambda one: one.time)
    return Picture(_svg(case, name, found, crossings), _alt(name, record, found), _table(crossings))
