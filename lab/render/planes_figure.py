"""The figure for an incident report: each edge, and beside it the lock that every plane would draw.

Never by colour alone: a lock is closed and filled (mutual TLS), closed and empty (TLS), open
(it could be read), or there is a question mark; and its word stands below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.common import files
from lab.common.errors import BadArguments
from lab.common.redaction import redact
from lab.common.text import printable
from lab.judge import planes
from lab.judge.case import Case
from lab.model import store
from lab.planes import graph
from lab.render import svg
from lab.render.display import Picture, wrap
from lab.render.edges_figure import STYLES
from lab.render.planes_table import Row, rows, table
from lab.render.svg import Format
from lab.render.tables import markdown_table
from lab.render.wording import SHOWS, said

# Inches.
MARGIN, EDGE, FIRST, COLUMN, REASONS = 0.25, 4.3, 4.75, 0.86, 4.65
HEAD, HEADING, ROW, LINE, FOOT = 1.25, 0.42, 0.56, 0.135, 0.3
LETTERS = 76
"""Characters of a line of reasons."""
MOST = 7
"""Lines of reasons, at most; the table holds the whole."""
INK, QUIET, FAINT = "#1f1f1f", "#5c5c5c", "#d8d8d8"
DRAWN = {"lock": "mutual_tls", "no lock": "no lock", "no edge": "none"}
"""What Kiali would draw -> the sign for it."""


def picture(case: Case) -> Picture:
    """Return the figure as a part of a page."""
    found = rows(case)
    alt = _alt(case, found)
    return Picture(data(case, found, "svg", alt).decode(), alt, table(found))


def data(case: Case, found: Sequence[Row], form: Format, alt: str) -> bytes:
    """Return the figure as a file of this format."""
    page = _Page(case, found)
    return svg.data((page.width, page.height), page.draw, title=alt, form=form)


class _Page:
    """The figure from top to bottom; `_y` is how far down it is drawn."""

    def __init__(self, case: Case, found: Sequence[Row]) -> None:
        self._case, self._rows = case, found
        headings = len({(row.heading, row.policy) for row in found})
        self.height = HEAD + FOOT + headings * HEADING + sum(_height(row) for row in found)
        self._why = FIRST + COLUMN * len(planes.PLANES) + 0.12
        self.width = self._why + REASONS
        self._y = HEAD

    def draw(self, axes: Any) -> None:
        axes.set_axis_off()
        axes.set_xlim(0, self.width)
        axes.set_ylim(self.height, 0)
        self._axes = axes
        self._head()
        for heading, policy in dict.fromkeys((row.heading, row.policy) for row in self._rows):
            self._heading(heading, policy)
            for row in self._rows:
                if (row.heading, row.policy) == (heading, policy):
                    self._row(row)

    def _text(self, x: float, y: float, words: str, **how: Any) -> None:
        style = {"fontsize": 8.5, "color": INK, "va": "center", "linespacing": 1.2, **how}
        self._axes.text(x, y, redact(printable(words)), **style)

    def _head(self) -> None:
        self._text(MARGIN, 0.3, self._case.failure.title, weight="bold", fontsize=13)
        self._text(MARGIN, 0.58, _about(self._case), color=QUIET)
        for number, name in enumerate(planes.column_titles()):
            x = FIRST + COLUMN * number
            self._text(x, HEAD - 0.16, "\n".join(wrap(name, 11)), ha="center", weight="bold")
        self._text(self._why, HEAD - 0.16, "why no lock, and what is at odds", weight="bold")
        models = [n for n, plane in enumerate(planes.PLANES) if plane.source == graph.SOURCE]
        middle = FIRST + COLUMN * sum(models) / len(models)
        self._text(middle, HEAD - 0.56, graph.SOURCE, ha="center", color=QUIET)

    def _heading(self, heading: str, policy: str) -> None:
        self._axes.plot([MARGIN, self.width - MARGIN], [self._y] * 2, color=FAINT, linewidth=1)
        self._text(MARGIN, self._y + HEADING / 2, heading, weight="bold", fontsize=10)
        self._text(self.width - MARGIN, self._y + HEADING / 2, policy, ha="right", color=QUIET)
        self._y += HEADING

    def _row(self, row: Row) -> None:
        height = _height(row)
        middle = self._y + height / 2
        self._edge(row, middle)
        for number, answer in enumerate(row.answers):
            self._sign(FIRST + COLUMN * number, middle, answer)
        self._text(self._why, middle, "\n".join(_reasons(row)), fontsize=7.5)
        self._y += height

    def _edge(self, row: Row, y: float) -> None:
        colour, style, width = STYLES[row.security]
        box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "#444444"}
        self._text(MARGIN + 0.35, y, row.source, ha="center", bbox=box)
        self._text(EDGE - 0.55, y, row.target, ha="center", bbox=box)
        arrow = {"arrowstyle": "-|>", "color": colour, "linestyle": style, "linewidth": width}
        ends = {"xy": (EDGE - 1.15, y), "xytext": (MARGIN + 0.85, y)}
        self._axes.annotate("", **ends, arrowprops=arrow)
        middle = (MARGIN + 0.85 + EDGE - 1.15) / 2
        step = f"{row.step}: " if row.step else ""
        self._text(middle, y - 0.11, f"{step}{row.outcome}", ha="center", fontsize=7.5)
        calls = _short(row.calls, 40)
        self._text(middle, y + 0.11, calls, ha="center", fontsize=6.5, color=QUIET)

    def _sign(self, x: float, y: float, answer: str) -> None:
        from matplotlib.patches import Circle

        security = DRAWN.get(answer, answer)
        colour = STYLES.get(security, (QUIET,))[0]
        if security in ("mutual_tls", "tls"):
            self._lock(x, y - 0.06, colour, filled=security == "mutual_tls", shut=True)
        elif security in ("plaintext", "mixed"):
            self._lock(x, y - 0.06, colour, filled=False, shut=False)
        elif security == "unknown":
            self._text(x, y - 0.06, "?", ha="center", fontsize=12, weight="bold", color=QUIET)
        elif security == "no lock":
            ring = Circle((x, y - 0.06), 0.085, facecolor="none", edgecolor=QUIET)
            ring.set_linestyle((0, (2, 2)))
            self._axes.add_artist(ring)
        else:
            self._text(x, y - 0.06, "\N{EN DASH}", ha="center", fontsize=11, color=QUIET)
        self._text(x, y + 0.15, SHOWS.get(answer, answer), ha="center", fontsize=7, color=colour)

    def _lock(self, x: float, y: float, colour: str, *, filled: bool, shut: bool) -> None:
        """Draw a padlock of a fifth of an inch; an open one's shackle hangs at one side.

        It is added as an artist: `plot` and `add_patch` would look for the axes' limits, which are
        set.
        """
        from matplotlib.lines import Line2D
        from matplotlib.patches import Rectangle

        inside = colour if filled else "white"
        body = Rectangle(
            (x - 0.085, y - 0.02), 0.17, 0.13, facecolor=inside, edgecolor=colour, linewidth=1.4
        )
        self._axes.add_artist(body)
        middle = x if shut else x + 0.11
        turns = [math.pi * step / 12 for step in range(13)]
        xs = [middle + 0.055 * math.cos(turn) for turn in turns]
        ys = [y - 0.06 - 0.06 * math.sin(turn) for turn in turns]
        legs = [y - 0.02, *ys, y - 0.02 if shut else y - 0.05]
        self._axes.add_artist(Line2D([xs[0], *xs, xs[-1]], legs, color=colour, linewidth=1.4))


def _about(case: Case) -> str:
    """Return which run this is, on what; `RECORDED` of what is committed."""
    if case.folder.parent == store.RECORDED:
        return said(case.evidence)
    evidence, stack = case.evidence, case.evidence.stack
    where = f"{evidence.cluster} cluster, Istio {stack['istio']}, Envoy {stack['envoy']}"
    return f"run {evidence.run} of {evidence.recorded_at}: {where}"


def _reasons(row: Row) -> list[str]:
    lines = wrap(row.why, LETTERS)
    return lines if len(lines) <= MOST else [*lines[: MOST - 1], "... (the table has it all)"]


def _height(row: Row) -> float:
    return max(ROW, LINE * len(_reasons(row)) + 0.14)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def file_name(failure: str) -> str:
    """Return the name of a failure's figure in a folder of several."""
    return f"planes-{files.plain(failure)}.svg"


def write(case: Case, path: Path) -> Path:
    """Write the figure as its name says, `.svg` or `.png`, and its words and table beside it.

    Raises BadArguments for another suffix.
    """
    if path.suffix not in (".svg", ".png"):
        raise BadArguments(f"{path.name} is neither a .svg nor a .png")
    found = rows(case)
    alt = _alt(case, found)
    told = markdown_table(table(found))
    files.write_text(path.with_suffix(".md"), "\n".join([f"# {alt}", "", *told, ""]))
    form: Format = "svg" if path.suffix == ".svg" else "png"
    files.write_bytes(path, data(case, found, form, alt))
    return path


def _alt(case: Case, found: Sequence[Row]) -> str:
    words = [SHOWS[row.security] for row in found]
    told = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    return redact(
        printable(f"{case.failure.title}: {len(found)} edges as every plane has them: {told}")
    )
