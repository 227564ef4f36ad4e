"""One figure for each failure: who called whom, and how each edge was secured as proven."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from lab.display import Picture, Table
from lab.observe import Case, Observation
from lab.report import SHOWS

# Never by colour alone: each has a line of its own, and its name is written on the edge.
STYLES = {
    "mutual_tls": ("#1b6e3c", "-", 2.6),
    "tls": ("#2c5d8f", "-", 1.4),
    "plaintext": ("#b3261e", (0, (5, 3)), 2.2),
    "mixed": ("#8a5a00", (0, (8, 2, 1, 2)), 2.2),
    "none": ("#6b6b6b", (0, (1, 3)), 1.2),
    "unknown": ("#6b6b6b", (0, (1, 3)), 1.2),
}
OUTCOMES = {"answered": "answered", "reset": "reset", "closed": "closed"}


@dataclass(frozen=True)
class Edge:
    """One line of the figure: a kind of call in one world."""

    world: str
    source: str
    target: str
    security: str
    outcome: str
    marker_count: int
    calls: str


def edges(case: Case) -> list[Edge]:
    """Calls that went the same way with the same result are one edge."""
    grouped: dict[tuple[str, str, str, str, str], list[Observation]] = {}
    for call in case.failure.calls:
        seen = case.see(call.name) if call.source != "api" else None
        if seen:
            outcome = OUTCOMES.get(seen.record.outcome, "refused")
            target = f"{call.to}:{call.port}"
            key = (call.world, call.source, target, seen.security, outcome)
            grouped.setdefault(key, []).append(seen)
    return [
        Edge(*key, sum(s.marker_count for s in seen), ", ".join(s.call.name for s in seen))
        for key, seen in grouped.items()
    ]


def table(found: list[Edge]) -> Table:
    """The figure's content as a table."""
    header = ("world", "from", "to", "on the wire", "result", "marker read", "calls")
    rows = tuple(
        (e.world, e.source, e.target, SHOWS[e.security], e.outcome, f"{e.marker_count}x", e.calls)
        for e in found
    )
    return Table("", header, rows)


def picture(case: Case) -> Picture:
    """The figure as SVG, with its words and its table. The same evidence gives the same bytes."""
    found = edges(case)
    counts = {kind: sum(e.security == kind for e in found) for kind in SHOWS}
    told = ", ".join(f"{n} {SHOWS[kind]}" for kind, n in counts.items() if n)
    alt = f"{case.failure.title}: {len(found)} edges between pods as proven on the wire: {told}."
    return Picture(_svg(case, found), alt, table(found))


def _svg(case: Case, found: list[Edge]) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {"svg.hashsalt": "lab", "svg.fonttype": "none", "font.family": "sans-serif"}
    with mpl.rc_context(settings):
        height = 0.62 * len(found) + 0.5 * len({e.world for e in found}) + 0.8
        figure = Figure(figsize=(9.6, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        _draw(axes, case, found)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _draw(axes: Any, case: Case, found: list[Edge]) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, 10)
    level, labels = 0.0, {w.name: w for w in case.failure.worlds}
    for world in dict.fromkeys(e.world for e in found):
        record = case.world(world)
        policy = f"PeerAuthentication {record.mtls}" if record else ""
        policy += f", DestinationRule {record.rule or 'none'}" if record else ""
        axes.text(0, level, f"{labels[world].about}", weight="bold", fontsize=10, va="center")
        axes.text(10, level, policy, fontsize=8.5, color="#444444", ha="right", va="center")
        level -= 0.75
        for edge in (e for e in found if e.world == world):
            _edge(axes, edge, level)
            level -= 1.0
        level -= 0.1
    axes.set_ylim(level + 0.3, 0.6)


def _edge(axes: Any, edge: Edge, level: float) -> None:
    colour, style, width = STYLES[edge.security]
    box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "#444444"}
    axes.text(1.1, level, edge.source, ha="center", va="center", fontsize=9.5, bbox=box)
    axes.text(8.6, level, edge.target, ha="center", va="center", fontsize=9.5, bbox=box)
    axes.annotate(
        "",
        xy=(7.6, level),
        xytext=(1.9, level),
        arrowprops={
            "arrowstyle": "-|>" if edge.outcome == "answered" else "-",
            "color": colour,
            "linestyle": style,
            "linewidth": width,
        },
    )
    ending = "" if edge.outcome == "answered" else f", then {edge.outcome}"
    lock = {"mutual_tls": "[locked] ", "plaintext": "[open] "}.get(edge.security, "")
    words = f"{lock}{SHOWS[edge.security]}{ending}; marker read {edge.marker_count}x"
    axes.text(4.75, level + 0.14, words, ha="center", va="bottom", fontsize=8.5, color=colour)
    axes.text(4.75, level - 0.14, edge.calls, ha="center", va="top", fontsize=7.5, color="#555555")
