"""Draws a measurement."""

from __future__ import annotations

from typing import Any

from lab.mtls_cost import ratios, tables
from lab.mtls_cost.measurement import PARTS, Measurement
from lab.mtls_cost.ratios import PAIRS
from lab.mtls_cost.variants import CONNECTIONS, LOADS, Load, measured
from lab.render import svg
from lab.render.display import Picture

COLOURS = ("#7fbf7b", "#5e3c99", "#b2abd2", "#1b7837")
"""Of the parts: applications green, sidecars violet."""
HATCHES = ("", "//", "\\\\", "xx")
"""Of the parts too: nothing is said by a colour alone."""


def cpu(measurement: Measurement) -> Picture:
    """Return the CPU time of each variant as bars, each of four parts."""
    table = tables.cpu(measurement)
    drawn = svg.svg((9, 5.2), lambda axes: _bars(axes, measurement), table.title, constrained=True)
    return Picture(drawn, f"{table.title}: bars of the values in the table.", table)


def _bars(axes: Any, measurement: Measurement) -> None:
    every = [one for one in measured() if one.load != CONNECTIONS]
    place, places, labels = 0.0, [], []
    for number, one in enumerate(every):
        place += 1.6 if number and one.load != every[number - 1].load else 1.0
        places.append(place)
        labels.append(f"{one.load.says}: {one.variant.name}")
    left = [0.0] * len(every)
    for part, colour, hatch in zip(PARTS, COLOURS, HATCHES, strict=True):
        found = [ratios.per_thousand(measurement, one.key, part) for one in every]
        widths = [1000 * one.median if one else 0.0 for one in found]
        axes.barh(
            places, widths, left=left, color=colour, hatch=hatch, edgecolor="white", label=part
        )
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set_xlabel("CPU milliseconds per 1,000 requests")
    axes.legend(loc="lower right", fontsize=8)
    _plain(axes)


def ratio(measurement: Measurement) -> Picture:
    """Return what each step costs as points with their ranges; 1 is no cost."""
    loads = [load for load in LOADS if load != CONNECTIONS]
    table = tables.ratio_table(measurement, loads)
    size = (9, 0.34 * len(table.rows) + 1.4)
    drawn = svg.svg(
        size, lambda axes: _points(axes, measurement, loads), table.title, constrained=True
    )
    return Picture(drawn, f"{table.title}: the medians and ranges of the table.", table)


def _points(axes: Any, measurement: Measurement, loads: list[Load]) -> None:
    labels: list[str] = []
    for load in loads:
        for pair in PAIRS:
            if not ratios.ratio(measurement, load.name, pair, "CPU"):
                continue
            place = float(len(labels))
            labels.append(f"{load.says}: {pair.says}")
            for figure, shift, mark, colour in (
                ("CPU", -0.15, "o", "#5e3c99"),
                ("p50", 0.15, "s", "#e66101"),
            ):
                found = ratios.ratio(measurement, load.name, pair, figure)
                if found:
                    axes.plot([found.low, found.high], [place + shift] * 2, color=colour)
                    axes.plot([found.median], [place + shift], mark, color=colour, markersize=5)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("ratio: CPU time (circle), median latency (square); lines: 95 % of the median")
    _plain(axes)


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
