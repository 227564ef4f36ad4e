"""Draws a part of the truth table as a heat map; each field has its words in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.render import svg
from lab.render.display import Picture, Table
from lab.truth_table import text
from lab.truth_table.text import Stored

COLOURS = {
    "mTLS": "#1b7837",
    "TLS": "#7fbf7b",
    "plain": "#fdb863",
    "hangs": "#c2a5cf",
    "refused": "#d9d9d9",
    "broken": "#d9d9d9",
    "mixed": "#fee0b6",
    "-": "#ffffff",
}
"""By the first word of a field; a status has the last of them."""
READABLE = "#f4a582"
"""Of a call that is not answered by the application, and crossed in plaintext."""
STATUS, WHITE, BLACK = "#fee08b", "#ffffff", "#000000"
FIELD = (0.95, 0.32)
"""Inches: width and height."""


def heat_map(rows: Mapping[str, Stored], fixed: Mapping[str, str]) -> Picture:
    """Return what is sent by what the port is called, drawn, with its table beside it."""
    table = text.matrix(rows, fixed)
    size = (FIELD[0] * len(table.header) + 0.3, FIELD[1] * (len(table.rows) + 1) + 0.3)
    drawn = svg.svg(size, lambda axes: _draw(axes, table), table.title)
    return Picture(drawn, _alternative(table), table)


def _draw(axes: Any, table: Table) -> None:
    lines = [table.header, *table.rows]
    axes.set_xlim(0, len(table.header))
    axes.set_ylim(len(lines), 0)
    axes.axis("off")
    for number, line in enumerate(lines):
        for column, words in enumerate(line):
            inside = number > 0 and column > 0
            if inside:
                axes.add_patch(_field(column, number, words))
            ink = WHITE if inside and words == "mTLS" else BLACK
            place = (column + (0.5 if column else 0.02), number + 0.5)
            side = "center" if column else "left"
            axes.text(*place, words, ha=side, va="center", fontsize=8, color=ink)


def _field(column: int, line: int, words: str) -> Any:
    from matplotlib.patches import Rectangle

    first, _, rest = words.partition(" ")
    colour = READABLE if rest.endswith("plain") else COLOURS.get(first, STATUS)
    return Rectangle((column, line), 1, 1, facecolor=colour, edgecolor=WHITE, linewidth=1)


def _alternative(table: Table) -> str:
    """Say in a sentence how many of each kind there are."""
    every = [words for row in table.rows for words in row[1:]]
    counts = {words: every.count(words) for words in dict.fromkeys(every)}
    most = sorted(counts.items(), key=lambda one: -one[1])
    return f"{table.title}. " + ", ".join(f"{words}: {count}" for words, count in most) + "."
