"""Things that show themselves: the same content as text and, in a notebook, as HTML."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A title, a header and rows of text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def text(self, width: int = 100) -> str:
        """Columns that share `width` characters; long cells wrap."""
        widths = self._widths(width)
        lines = [*textwrap.wrap(self.title, width), ""] if self.title else []
        lines += _row(self.header, widths)
        lines.append("  ".join("-" * size for size in widths))
        for row in self.rows:
            lines += _row(row, widths)
        return "\n".join([*lines, *(["", self.note] if self.note else [])])

    def _widths(self, width: int) -> list[int]:
        columns = zip(self.header, *self.rows, strict=True)
        natural = [max(len(cell) for cell in column) for column in columns]
        room = width - 2 * (len(natural) - 1)
        while sum(natural) > room:
            natural[natural.index(max(natural))] -= 1
        return [max(1, size) for size in natural]

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        head = "".join(f"<th style='text-align:left'>{html.escape(c)}</th>" for c in self.header)
        body = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{_cell(c)}</td>" for c in row) + "</tr>"
            for row in self.rows
        )
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        title = f"<p><b>{html.escape(self.title)}</b></p>" if self.title else ""
        return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


_CODE = "font-family: var(--jp-code-font-family, monospace)"  # JupyterLab's, else any
_BYTES = re.compile(r"[0-9a-f]{2}( [0-9a-f]{2})+(\n|$)")


def _cell(text: str) -> str:
    shown = html.escape(text).replace("\n", "<br>")
    return f"<span style='{_CODE}'>{shown}</span>" if _BYTES.match(text) else shown


def _row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    wrapped = [
        [
            line
            for part in (cell.split("\n") if cell else [""])
            for line in textwrap.wrap(part, size, break_on_hyphens=False) or [""]
        ]
        for cell, size in zip(cells, widths, strict=True)
    ]
    height = max(len(lines) for lines in wrapped)
    padded = [lines + [""] * (height - len(lines)) for lines in wrapped]
    return [
        "  ".join(cell.ljust(size) for cell, size in zip(line, widths, strict=True)).rstrip()
        for line in zip(*padded, strict=True)
    ]


@dataclass(frozen=True)
class Text:
    """Lines of text, shown as they are."""

    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        return f"<pre style='{_CODE}'>{html.escape(repr(self))}</pre>"


@dataclass(frozen=True)
class Picture:
    """An SVG figure with its text alternative, and its table beside it."""

    svg: str
    alt: str
    table: Table

    def __repr__(self) -> str:
        return f"{self.alt}\n\n{self.table.text()}"

    def _repr_html_(self) -> str:
        import base64

        data = base64.b64encode(self.svg.encode()).decode()
        image = f'<img alt="{html.escape(self.alt)}" src="data:image/svg+xml;base64,{data}">'
        return image + self.table._repr_html_()
