"""Draws a table as a map of coloured fields; each field has its words in it."""

from __future__ import annotations

from typing import Any

from lab.render import svg
from lab.render.display import Picture, Table

COLOURS = {
    "mTLS": "#1b7837",
    "TLS": "#7fbf7b",
    "plain": "#fdb863",
    "hangs": "#c2a5cf",
    "refused": "#d9d9d9",
    "broken": "#d9d9d9",
    "mixed": "#fee0b6",
    "unknown": "#ffffff",
    "-": "#ffffff",
}
"""By the first word of a field; what is none of these, a status for one, has the last colour."""
READABLE = "#f4a582"
"""Of a call that is not answered by the application, and crossed in plaintext."""
STATUS, WHITE, BLACK = "#fee08b", "#ffffff", "#000000"
FIELD = (0.95, 0.32)
"""Inches: width and height."""
LETTER = 0.075
"""Inches of a letter, in a row's name that is longer than a field."""


def picture(table: Table) -> Picture:
    """Return a table, drawn, with itself beside the drawing."""
    names = max([1.0, *(len(row[0]) * LETTER / FIELD[0] for row in table.rows)])
    size = (
        FIELD[0] * (names + len(table.header) - 1) + 0.3,
        FIELD[1] * (len(table.rows) + 1) + 0.3,
    )
    drawn = svg.svg(size, lambda axes: _draw(axes, table, names), table.title)
    return Picture(drawn, _alternative(table), table)


def _draw(axes: Any, table: Table, names: float) -> None:
    """Fill the axes. names: how many fields the rows' names are wide."""
    lines = [table.header, *table.rows]
    axes.set_xlim(0, names + len(table.header) - 1)
    axes.set_ylim(len(lines), 0)
    axes.axis("off")
    for number, line in enumerate(lines):
        for column, words in enumerate(line):
            left = column + names - 1 if column else 0
            inside = number > 0 and column > 0
            if inside:
                axes.add_patch(_field(left, number, words))
            ink = WHITE if inside and words == "mTLS" else BLACK
            place = (left + (0.5 if column else 0.02), number + 0.5)
            side = "center" if column else "left"
            axes.text(*place, words, ha=side, va="center", fontsize=8, color=ink)


def _field(left: float, line: int, words: str) -> Any:
    from matplotlib.patches import Rectangle

    first, _, rest = words.partition(" ")
    colour = READABLE if rest.endswith("plain") else COLOURS.get(first, STATUS)
    return Rectangle((left, line), 1, 1, facecolor=colour, edgecolor=WHITE, linewidth=1)


def _alternative(table: Table) -> str:
    """Say in a sentence how many of each kind there are."""
    every = [words for row in table.rows for words in row[1:]]
    counts = {words: every.count(words) for words in dict.fromkeys(every)}
    most = sorted(counts.items(), key=lambda one: -one[1])
    return f"{table.title}. " + ", ".join(f"{words}: {count}" for words, count in most) + "."
