"""Two runs in one figure: a row for each claim and remedy, both runs' answers side by side.

Every pair of answers has its mark between them: `=` the same, `≠` differs, `?` cannot be said.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from lab.common import files
from lab.judge.planes import short_titles
from lab.render import svg
from lab.render.comparison import Compared, Comparison, Pair, State
from lab.render.comparison_text import about, answers_table, other_parameters, shown
from lab.render.display import Picture
from lab.render.edges_figure import STYLES

# Inches. The first column holds names, the second what the post or the remedy says; after the
# answers comes a narrow column for each source, and the word for the whole row.
NAME, SAYS, SOURCES, SOURCE = 0.2, 1.42, 12.0, 0.46
COLUMNS = {"as posted": 4.2, "today's form": 6.76, "wire": 9.32}
CELL, BETWEEN = 1.04, 0.24
LINE, PADDING = 0.155, 0.15
MARKS: dict[State, str] = {"same": "=", "differs": "\N{NOT EQUAL TO}", "cannot say": "?"}
BOXES: dict[State, dict[str, Any]] = {
    "differs": {"facecolor": "#fff1d0", "edgecolor": "#7a4b00", "linewidth": 1.5},
    "cannot say": {"facecolor": "#f3f3f3", "edgecolor": "#5c5c5c", "linestyle": (0, (3, 2))},
}
INK, QUIET, FAINT = "#1f1f1f", "#5c5c5c", "#dedede"


def write(compared: Comparison, folder: Path) -> Path:
    """Draw it into a folder; returns the file."""
    path = folder / f"compare-{compared.left.name}-{compared.right.name}.svg"
    files.write_text(path, picture(compared).svg)
    return path


def picture(compared: Comparison) -> Picture:
    """Return the figure as SVG, with its words and its table. The same runs give the same bytes."""
    alt = (
        f"{compared.left.name} (left) and {compared.right.name} (right) side by side, "
        f"{len(compared.rows)} claims and remedies. {compared.sentence}"
    )
    page = _Page(compared)
    drawn = svg.svg((page.width, page.height), page.draw, alt)
    return Picture(drawn, alt, answers_table(compared))


class _Page:
    """The figure from top to bottom; `_y` is how far down it is drawn."""

    HEAD, SUBHEAD, FOOT = 1.12, 0.3, 0.5

    def __init__(self, compared: Comparison) -> None:
        self._compared = compared
        self._failures = list(dict.fromkeys(row.failure for row in compared.rows))
        sources = dict.fromkeys(plane.what for plane in compared.planes)
        self._sources = {name: SOURCES + SOURCE * number for number, name in enumerate(sources)}
        self.width = SOURCES + SOURCE * len(sources) + 0.7
        self._y = 0.0

    @property
    def height(self) -> float:
        rows = self._compared.rows
        remedied = {row.failure for row in rows if row.kind == "remedy"}
        return (
            self.HEAD
            + sum(_heading_height(self._changed(failure)) for failure in self._failures)
            + self.SUBHEAD * len(remedied)
            + sum(_height(row) for row in rows)
            + sum(_heading_height([]) for _ in self._compared.apart)
            + self.FOOT
        )

    def draw(self, axes: Any) -> None:
        axes.set_axis_off()
        axes.set_xlim(0, self.width)
        axes.set_ylim(self.height, 0)
        self._axes = axes
        self._head()
        for failure in self._failures:
            self._group(failure, [row for row in self._compared.rows if row.failure == failure])
        for apart in self._compared.apart:
            self._heading(apart.failure, [f"not compared: {apart.told}"])
        self._foot()

    def _text(self, x: float, y: float, words: str, **how: Any) -> None:
        style = {"fontsize": 8.5, "color": INK, "va": "center", "linespacing": 1.25, **how}
        self._axes.text(x, y, words, **style)

    def _line(self, y: float, colour: str, width: float) -> None:
        self._axes.plot([NAME, self.width - NAME], [y, y], color=colour, linewidth=width)

    def _head(self) -> None:
        sides = (("left", self._compared.left), ("right", self._compared.right))
        for y, (side, run) in zip((0.3, 0.56), sides, strict=True):
            self._text(NAME, y, side, weight="bold", fontsize=11)
            self._text(NAME + 0.6, y, run.name, fontsize=11)
            self._text(NAME + 2.9, y, about(run), color=QUIET, fontsize=9)
        self._y = self.HEAD
        bottom = {"va": "bottom", "weight": "bold", "ha": "center"}
        titles = ("as posted, today", "today's form,\nor: does it heal", "on the wire")
        for title, x in zip(titles, COLUMNS.values(), strict=True):
            self._text(x + CELL + BETWEEN / 2, self._y, title, **bottom)
        middle = SOURCES + SOURCE * (len(self._sources) - 1) / 2
        self._text(middle, self._y, "the same,\nwitness by witness?", **bottom)

    def _group(self, failure: str, rows: list[Compared]) -> None:
        self._heading(failure, self._changed(failure))
        y = self._y - 0.13
        for x in COLUMNS.values():
            for side, at in (("left", x), ("right", x + CELL + BETWEEN)):
                self._text(at + CELL / 2, y, side, color=QUIET, ha="center", fontsize=8)
        titles = short_titles()
        for source, x in self._sources.items():
            self._text(x, y, titles.get(source, source), color=QUIET, ha="center", fontsize=8)
        for kind in ("claim", "remedy"):
            if kind == "remedy" and any(row.kind == kind for row in rows):
                self._subheading("remedies")
            for row in rows:
                if row.kind == kind:
                    self._row(row)

    def _changed(self, failure: str) -> list[str]:
        """Return the parameters with which the two runs were not made alike."""
        return [
            f"{name}: {left} {MARKS['differs']} {right}"
            for of, name, left, right in other_parameters(self._compared)
            if of == failure
        ]

    def _heading(self, name: str, beside: list[str]) -> None:
        self._y += _heading_height(beside)
        self._text(NAME, self._y - 0.09, name, weight="bold", fontsize=11, va="bottom")
        told = "\n".join(beside)
        self._text(SAYS + 0.5, self._y - 0.08, told, color=QUIET, va="bottom")
        self._line(self._y, INK, 0.9)

    def _subheading(self, words: str) -> None:
        self._y += self.SUBHEAD
        self._text(NAME, self._y - 0.12, words, color=QUIET, style="italic")
        self._line(self._y, FAINT, 0.6)

    def _row(self, row: Compared) -> None:
        middle = self._y + _height(row) / 2
        weight = "normal" if row.state == "same" else "bold"
        self._text(NAME, middle, row.name, weight=weight)
        self._text(SAYS, middle, "\n".join(_says(row)), color=QUIET, fontsize=8)
        for pair in (*row.answers, row.wire):
            self._pair(pair, COLUMNS.get(pair.what, COLUMNS["today's form"]), middle)
        for plane in row.planes:
            self._witness(plane, middle)
        if row.state != "same":
            self._text(self.width - NAME, middle, row.state, weight="bold", ha="right", fontsize=8)
        self._y += _height(row)
        self._line(self._y, FAINT, 0.6)

    def _pair(self, pair: Pair, x: float, y: float) -> None:
        self._mark(pair.state, x + CELL + BETWEEN / 2, y)
        for at, word in ((x, pair.left), (x + CELL + BETWEEN, pair.right)):
            self._box(at, y, CELL, pair.state)
            colour = STYLES[word][0] if word in STYLES else INK
            weight = "bold" if pair.state == "differs" else "normal"
            style = {"ha": "center", "weight": weight, "color": colour, "fontsize": 8}
            self._text(at + CELL / 2, y, shown(word), **style)

    def _witness(self, plane: Pair, y: float) -> None:
        x = self._sources[plane.what]
        self._box(x - 0.16, y, 0.32, plane.state)
        self._mark(plane.state, x, y)

    def _mark(self, state: State, x: float, y: float) -> None:
        quiet = state == "same"
        size, weight = (9, "normal") if quiet else (12, "bold")
        colour = "#8a8a8a" if quiet else INK
        self._text(x, y, MARKS[state], ha="center", fontsize=size, weight=weight, color=colour)

    def _box(self, x: float, y: float, width: float, state: State) -> None:
        """Draw a box only where two answers are not the same."""
        from matplotlib.patches import FancyBboxPatch

        if state != "same":
            rounded = "round,pad=0,rounding_size=0.05"
            box = FancyBboxPatch((x, y - 0.11), width, 0.22, boxstyle=rounded, **BOXES[state])
            self._axes.add_patch(box)

    def _foot(self) -> None:
        told = (
            f"{MARKS['same']} the same, {MARKS['differs']} differs, "
            f"{MARKS['cannot say']} one of the two cannot say, or neither can"
        )
        self._text(NAME, self._y + 0.28, told, color=QUIET)
        agreeing = sum(pair.state == "same" for pair in self._compared.planes)
        count = f"{agreeing} of {len(self._compared.planes)} plane answers agree"
        self._text(self.width - NAME, self._y + 0.28, count, color=QUIET, ha="right")


def _says(row: Compared) -> list[str]:
    return textwrap.wrap(row.says, 44)


def _height(row: Compared) -> float:
    return PADDING + LINE * max(len(_says(row)), 1)


def _heading_height(beside: list[str]) -> float:
    return 0.4 + LINE * max(len(beside), 1)
