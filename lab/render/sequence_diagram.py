"""Draws a call as what crosses each of its hops, in time order.

Life lines from left to right: the client's application, its sidecar, between the pods, the
server's sidecar, its application; a gateway where one stands between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lab.common import files
from lab.common.errors import BadEvidence
from lab.common.redaction import redact
from lab.common.text import printable
from lab.judge import hops
from lab.judge.case import Case
from lab.judge.hops import End, Hop
from lab.model.evidence import CLOCK_SLACK, CallRecord
from lab.packets import flights, tls
from lab.packets.flights import Flight
from lab.render import svg
from lab.render.display import Picture, Table, wrap
from lab.render.edges_figure import STYLES
from lab.render.wording import SHOWS, policies

MOST = 40
"""Most arrows of one drawing; the middle of a longer exchange is left out."""
LOCKS = {"mutual_tls": "[locked] ", "plaintext": "[open] ", "mixed": "[open] "}
READABLE = {"plaintext": "can be read", "mixed": "can be read in part"}
READABLE |= {"tls": "cannot be read", "mutual_tls": "cannot be read"}
# Inches.
MARGIN, TIMES, STEP, LINE, GAP, HEAD, FOOT = 0.25, 0.75, 2.3, 0.15, 0.2, 1.3, 0.65
LETTERS = 17.5
"""Characters of a label's text in an inch."""
LONGEST = 240
"""Most characters of a label."""
INK, QUIET, FAINT = "#1f1f1f", "#5c5c5c", "#b5b5b5"


class Crossing(NamedTuple):
    """One arrow: a flight of packets, and the hop that it crosses."""

    hop: Hop
    flight: Flight


def picture(case: Case, name: str) -> Picture:
    """Draw a call as SVG, with its text and its table. The same evidence gives the same bytes.

    Raises BadEvidence where nothing is seen of the call, and says why.
    """
    record, found = case.evidence.call(name), hops.hops_of_call(case, name)
    if record is None or not found:
        raise BadEvidence(
            f"{name} cannot be drawn: {case.unseen(name) or 'none of its hops is seen'}"
        )
    crossings = _crossings(found, record)
    alt = _safe(_alt(record, found))
    page = _Page(case, record, found, crossings)
    return Picture(svg.svg((page.width, page.height), page.draw, alt), alt, _table(crossings))


def file_name(name: str) -> str:
    """Return the name of a call's drawing in a run's folder."""
    return f"sequence-{files.plain(name)}.svg"


def _crossings(found: Sequence[Hop], record: CallRecord) -> list[Crossing]:
    """Return what crossed while the call was made: its connection may serve other calls too."""
    first, last = record.started - CLOCK_SLACK, record.ended + CLOCK_SLACK
    told = [
        Crossing(hop, flight)
        for hop in found
        if hop.tap.connection
        for flight in flights.read_flights(hop.tap.connection, record.marker.encode())
        if first <= flight.time <= last
    ]
    return sorted(told, key=lambda crossing: crossing.flight.time)


def _alt(record: CallRecord, found: Sequence[Hop]) -> str:
    told = "; ".join(f"{hop.sender} to {hop.receiver}: {_secured(hop)}" for hop in found)
    return f"Call {record.name}, {record.typed}. {told}. {_outcome(record)}."


def _secured(hop: Hop) -> str:
    words = SHOWS[hop.security]
    if hop.note:
        words += f", {hop.note}"
    if hop.security in ("none", "unknown"):
        return f"{words} ({hop.why})"
    return f"{words}, marker read {hop.marker_count}x"


def _outcome(record: CallRecord) -> str:
    """Say what the caller got, and the TLS alert, which only the caller could decrypt."""
    told = f"The caller got: {record.outcome}"
    if record.status:
        told += f" {record.status}"
    alert = record.facts.get("alert")
    if isinstance(alert, int):
        told += f" (TLS alert {alert} {tls.ALERTS.get(alert, '')}".rstrip() + ")"
    return told


def _table(crossings: Sequence[Crossing]) -> Table:
    header = ("ms", "from", "to", "what crosses", "a reader in between")
    return Table("", header, tuple(_row(one, crossings[0].flight.time) for one in crossings))


def _row(crossing: Crossing, began: float) -> tuple[str, ...]:
    hop, flight = crossing
    sender, receiver = hop.way(flight.side)
    words = _safe("; ".join(flight.words))
    return _since(flight, began), str(sender), str(receiver), words, flight.readable


def _since(flight: Flight, began: float) -> str:
    return f"{(flight.time - began) * 1000:.1f}"


def _safe(text: str) -> str:
    return redact(printable(text))


def _lanes(found: Sequence[Hop]) -> list[End | int]:
    """Return the life lines in order; a number stands for the network of the hop of that number."""
    lanes: list[End | int] = []
    for number, hop in enumerate(found):
        ends: list[End | int] = [hop.sender, hop.receiver]
        if hop.between_pods:
            # Whom it reached is told by the hop to its application, where there is one.
            last = found[number + 1 :][:1]
            ends[1:] = [number] if last and not last[0].between_pods else [number, hop.receiver]
        lanes += [end for end in ends if end not in lanes]
    return lanes


class _Page:
    """The drawing from top to bottom, in inches."""

    def __init__(
        self, case: Case, record: CallRecord, found: Sequence[Hop], crossings: Sequence[Crossing]
    ) -> None:
        self._case, self._record, self._hops = case, record, found
        self._lanes = _lanes(found)
        self._shown, self._left_out = [*crossings], max(0, len(crossings) - MOST)
        if self._left_out:
            self._shown[MOST // 2 : -MOST // 2] = []
        self.width = MARGIN + TIMES + STEP * (len(self._lanes) - 1) + STEP
        rows = sum(self._height(crossing) for crossing in self._shown)
        self._ends = HEAD + rows + (GAP + LINE if self._left_out else 0)
        self.height = self._ends + FOOT + LINE * max(len(self._below(hop)) for hop in found)

    def draw(self, axes: Any) -> None:
        axes.set_axis_off()
        axes.set_xlim(0, self.width)
        axes.set_ylim(self.height, 0)
        self._axes = axes
        self._head()
        self._life_lines()
        self._arrows()
        self._foot()

    def _x(self, lane: End | int) -> float:
        return MARGIN + TIMES + STEP * (self._lanes.index(lane) + 0.5)

    def _text(self, x: float, y: float, words: str, **how: Any) -> None:
        style = {"fontsize": 8, "color": INK, "va": "center", "ha": "center", **how}
        self._axes.text(x, y, _safe(words), **style)

    def _head(self) -> None:
        typed = _shorter(self._record.typed, int(self.width * 11))
        self._text(MARGIN, 0.24, f"$ {typed}", weight="bold", ha="left")
        self._text(MARGIN, 0.48, self._about(), color=QUIET, ha="left")
        self._text(MARGIN + TIMES - 0.12, HEAD - 0.34, "ms", color=QUIET, ha="right")
        box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": INK}
        for lane in self._lanes:
            quiet = {"style": "italic", "color": QUIET} if isinstance(lane, int) else {"bbox": box}
            self._text(self._x(lane), HEAD - 0.42, _name(lane), fontsize=9, **quiet)

    def _about(self) -> str:
        record = self._record
        world = self._case.world(record.world)
        told = f"call {record.name} of {self._case.evidence.failure}"
        if world is None:
            return told
        return f"{told}; {policies(self._case.failure.world(record.world), world)}"

    def _life_lines(self) -> None:
        bottom = self._ends + 0.08
        for lane in self._lanes:
            style = (0, (1, 3)) if isinstance(lane, int) else "-"
            x = self._x(lane)
            self._axes.plot([x, x], [HEAD - 0.18, bottom], color=FAINT, linestyle=style, zorder=1)

    def _arrows(self) -> None:
        y = HEAD
        for number, crossing in enumerate(self._shown):
            if self._left_out and number == MOST // 2:
                y += GAP + LINE
                words = f"{self._left_out} more are not drawn"
                self._text(self.width / 2, y - GAP, words, style="italic")
            y += self._height(crossing)
            self._arrow(crossing, y)

    def _labels(self, crossing: Crossing) -> list[str]:
        hop, flight = crossing
        room = int(abs(self._x(hop.receiver) - self._x(hop.sender)) * LETTERS) - 4
        told = [part for words in flight.words for part in _short(flight, words)]
        return [line for words in told for line in _lines(words, room)]

    def _height(self, crossing: Crossing) -> float:
        return GAP + LINE * len(self._labels(crossing))

    def _arrow(self, crossing: Crossing, y: float) -> None:
        hop, flight = crossing
        sender, receiver = (self._x(end) for end in hop.way(flight.side))
        colour, style, width = _style(crossing)
        arrow = {"arrowstyle": "-|>", "color": colour, "linestyle": style, "linewidth": width}
        arrow |= {"shrinkA": 0, "shrinkB": 0, "mutation_scale": 11}
        self._axes.annotate("", xy=(receiver, y), xytext=(sender, y), arrowprops=arrow)
        if flight.kind == "reset":
            self._axes.plot([(sender + receiver) / 2], [y], marker="x", color=colour, markersize=8)
        lines = self._labels(crossing)
        for number, line in enumerate(reversed(lines)):
            back = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
            at = y - 0.09 - LINE * number
            self._text((sender + receiver) / 2, at, line, fontsize=7.5, color=colour, bbox=back)
        since = _since(flight, self._shown[0].flight.time)
        self._text(MARGIN + TIMES - 0.12, y, since, fontsize=7.5, color=QUIET, ha="right")

    def _place(self, hop: Hop) -> tuple[float, float]:
        """Return middle and width of the text below a hop; it ends at the hop's sidecars."""
        if hop.between_pods:
            return self._x(self._hops.index(hop)), 1.9 * STEP
        return (self._x(hop.sender) + self._x(hop.receiver)) / 2, STEP

    def _below(self, hop: Hop) -> list[str]:
        room = int(self._place(hop)[1] * LETTERS * 0.9)
        told = [f"{LOCKS.get(hop.security, '')}{SHOWS[hop.security]}", *_facts(hop, self._record)]
        return [line for words in told for line in _lines(words, room)]

    def _foot(self) -> None:
        for hop in self._hops:
            middle, _ = self._place(hop)
            for number, line in enumerate(self._below(hop)):
                style = {"weight": "normal" if number else "bold", "color": STYLES[hop.security][0]}
                self._text(middle, self._ends + 0.25 + LINE * number, line, **style)
        self._text(MARGIN, self.height - 0.2, _outcome(self._record), ha="left", weight="bold")


def _name(lane: End | int) -> str:
    if isinstance(lane, int):
        return "between\nthe pods"
    return lane.pod if lane.part == "gateway" else f"{lane.pod}\n{lane.part}"


def _facts(hop: Hop, record: CallRecord) -> list[str]:
    """Return what is written below a hop's arrows."""
    if hop.security in ("none", "unknown"):
        return [hop.why]
    told = [hop.note] if hop.note else []
    if hop.tap.connection and hop.tap.connection.began < record.started - CLOCK_SLACK:
        told.append("on a connection that was open before the call")
    return [*told, READABLE[hop.security], f"marker read {hop.marker_count}x"]


def _short(flight: Flight, words: str) -> list[str]:
    """Return a label's lines; of a ClientHello only SNI and ALPN."""
    return words.split("; ")[:2] if flight.kind == "hello" else [words]


def _style(crossing: Crossing) -> tuple[str, Any, float]:
    hop, flight = crossing
    if flight.kind in ("open", "close"):
        return QUIET, "-", 0.8
    if flight.kind == "reset":
        return INK, "-", 1.4
    if flight.kind == "plaintext":
        return STYLES["plaintext"]
    return STYLES["mutual_tls" if hop.security == "mutual_tls" else "tls"]


def _lines(words: str, room: int) -> list[str]:
    """Wrap words to a width, cut at LONGEST: recorded text may be of any length."""
    return wrap(_safe(_shorter(words, LONGEST)), room)


def _shorter(words: str, most: int) -> str:
    """Keep the beginning and the end of a text that is too long."""
    return words if len(words) <= most else f"{words[: most // 2]} … {words[-most // 2 :]}"
