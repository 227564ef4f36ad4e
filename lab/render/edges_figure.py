"""Draws a failure's edges: who called whom, and how the packets prove each to be secured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from lab.judge.case import Case
from lab.judge.observation import FINAL_HOP, Observation
from lab.planes import log
from lab.render import svg
from lab.render.display import Picture, Table
from lab.render.wording import AROUND, SHOWS, crossed, policies

# Never by colour alone: each has a line of its own, and its name is written on the edge.
STYLES = {
    "mutual_tls": ("#1b6e3c", "-", 2.6),
    "tls": ("#2c5d8f", "-", 1.4),
    "plaintext": ("#b3261e", (0, (5, 3)), 2.2),
    "mixed": ("#8a5a00", (0, (8, 2, 1, 2)), 2.2),
    "none": ("#6b6b6b", (0, (1, 3)), 1.2),
    "unknown": ("#6b6b6b", (0, (1, 3)), 1.2),
}


class EdgeGroup(NamedTuple):
    """What the calls have in common that are drawn as one line."""

    world: str
    remedy: str
    """The remedy in force; empty: none is."""
    source: str
    workload: str
    """That the packets reached."""
    asked: str
    """That was asked, where it is another one; else empty."""
    security: str
    crossed: str
    """In words; the application's own TLS inside mutual TLS is told apart."""
    outcome: str


@dataclass(frozen=True)
class DrawnEdge:
    """One line of the figure: alike calls in one world, or with one remedy in force."""

    kind: EdgeGroup
    target: str
    marker_count: int
    calls: str

    @property
    def place(self) -> tuple[str, str]:
        """World and remedy."""
        return self.kind.world, self.kind.remedy


def edges(case: Case) -> list[DrawnEdge]:
    """Group a case's calls: those that went the same way with the same result are one edge."""
    grouped: dict[EdgeGroup, list[Observation]] = {}
    for name in _names(case):
        if seen := case.see(name):
            grouped.setdefault(_kind(case, seen), []).append(seen)
    return [
        DrawnEdge(
            kind,
            _target(kind, dict.fromkeys(str(s.call.port) for s in seen)),
            sum(s.marker_count for s in seen),
            ", ".join(s.call.name for s in seen),
        )
        for kind, seen in grouped.items()
    ]


def _kind(case: Case, seen: Observation) -> EdgeGroup:
    call = seen.call
    remedy = call.name.partition(":")[0] if call.step else ""
    elsewhere = _elsewhere(case, seen)
    return EdgeGroup(
        call.world,
        remedy,
        call.source,
        elsewhere or call.to,
        call.to if elsewhere else "",
        seen.security,
        crossed(seen),
        _outcome(seen),
    )


def _elsewhere(case: Case, seen: Observation) -> str:
    """Name the workload that the packets reached in place of the one that was asked."""
    host = log.sent_elsewhere(seen.client_line, seen.query.targets) if seen.query else None
    pods = case.evidence.worlds[seen.call.world].pods
    return next((name for name, pod in pods.items() if host and pod.ip == host[0]), "")


def _target(kind: EdgeGroup, ports: Iterable[str]) -> str:
    asked = f" ({kind.asked} was asked)" if kind.asked else ""
    return f"{kind.workload}:{', '.join(ports)}{asked}"


def _names(case: Case) -> list[str]:
    """Name the calls between pods; calls with a remedy only where they show a claim."""
    names = [call.name for call in case.failure.calls if call.source != "api"]
    answers = [one for claim in case.failure.claims for one in (claim.as_posted, claim.today)]
    for name in dict.fromkeys(answer.shows for answer in answers if ":" in answer.shows):
        names += [name, *([name + FINAL_HOP] if case.calls[name].through else [])]
    return names


def _outcome(seen: Observation) -> str:
    record = seen.record
    if record.outcome == "answered":
        return f"answered {record.status}" if record.status >= 400 else "answered"
    return record.outcome if record.outcome in ("reset", "closed", "hang") else "refused"


def table(found: list[DrawnEdge]) -> Table:
    """Return the figure's content as a table."""
    header = ("world", "from", "to", "on the wire", "result", "marker read", "calls")
    rows = tuple(
        (
            ", ".join(filter(None, e.place)),
            e.kind.source,
            e.target,
            e.kind.crossed,
            e.kind.outcome,
            f"{e.marker_count}x",
            e.calls,
        )
        for e in found
    )
    return Table("", header, rows)


def picture(case: Case) -> Picture:
    """Draw the figure as SVG, with its text and its table.

    The same evidence gives the same bytes.
    """
    found = edges(case)
    counts = {
        word: sum(e.kind.crossed == word for e in found) for word in (*SHOWS.values(), AROUND)
    }
    told = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    alt = f"{case.failure.title}: {len(found)} edges between pods, as packets prove them: {told}."
    height = 0.52 * len(found) + 0.45 * len({e.place for e in found}) + 0.6
    drawn = svg.svg((9.6, height), lambda axes: _draw(axes, case, found), constrained=True)
    return Picture(drawn, alt, table(found))


def _draw(axes: Any, case: Case, found: list[DrawnEdge]) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, 10)
    level = 0.0
    for place in dict.fromkeys(e.place for e in found):
        about, policy = _heading(case, *place)
        axes.text(0, level, about, weight="bold", fontsize=10, va="center")
        axes.text(10, level, policy, fontsize=8.5, color="#444444", ha="right", va="center")
        level -= 0.75
        for edge in (e for e in found if e.place == place):
            _edge(axes, edge, level)
            level -= 1.0
        level -= 0.1
    axes.set_ylim(level + 0.3, 0.6)


def _heading(case: Case, world: str, remedy: str) -> tuple[str, str]:
    if remedy:
        says = next(r.says for r in case.failure.remedies if r.name == remedy)
        return f"with a remedy: {says}", ""
    record = case.world(world)
    if record is None:
        return case.failure.world(world).about, ""
    declared = case.failure.world(world)
    return declared.about, policies(declared, record)


def _edge(axes: Any, edge: DrawnEdge, level: float) -> None:
    colour, style, width = STYLES[edge.kind.security]
    arrived = edge.kind.outcome.startswith("answered") and edge.kind.security != "none"
    box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "#444444"}
    axes.text(1.1, level, edge.kind.source, ha="center", va="center", fontsize=9.5, bbox=box)
    axes.text(8.6, level, edge.target, ha="center", va="center", fontsize=9.5, bbox=box)
    axes.annotate(
        "",
        xy=(7.6, level),
        xytext=(1.9, level),
        arrowprops={
            "arrowstyle": "-|>" if arrived else "-",
            "color": colour,
            "linestyle": style,
            "linewidth": width,
        },
    )
    ending = "" if edge.kind.outcome == "answered" else f"; {edge.kind.outcome}"
    lock = {"mutual_tls": "[locked] ", "plaintext": "[open] "}.get(edge.kind.security, "")
    words = f"{lock}{edge.kind.crossed}{ending}; marker read {edge.marker_count}x"
    axes.text(4.75, level + 0.14, words, ha="center", va="bottom", fontsize=8.5, color=colour)
    axes.text(4.75, level - 0.14, edge.calls, ha="center", va="top", fontsize=7.5, color="#555555")
