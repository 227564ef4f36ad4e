"""Tables, texts and pictures that show themselves as text and, in a notebook, as HTML."""

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
        """Return the table as text of at most `width` characters a line; long cells wrap."""
        widths = self._widths(width)
        lines = [*textwrap.wrap(self.title, width), ""] if self.title else []
        lines += _row(self.header, widths)
        lines.append("  ".join("-" * size for size in widths))
        for row in self.rows:
            lines += _row(row, widths)
        return "\n".join([*lines, *(["", self.note] if self.note else [])])

    def _widths(self, width: int) -> list[int]:
        columns = [*zip(self.header, *self.rows, strict=True)]
        natural = [max(len(line) for c in column for line in c.split("\n")) for column in columns]
        room = width - 2 * (len(natural) - 1)
        floors = [max(map(_floor, column)) for column in columns]
        while sum(natural) > room:
            # The widest column gives; a short word is broken only where no other column can give.
            giving = [i for i, size in enumerate(natural) if size > floors[i]]
            natural[max(giving or range(len(natural)), key=natural.__getitem__)] -= 1
        return [max(1, size) for size in natural]

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        head = "".join(f"<th style='text-align:left'>{html.escape(c)}</th>" for c in self.header)
        body = "".join(
            "<tr>" + "".join(f"<td style='{_style(c)}'>{_cell(c)}</td>" for c in row) + "</tr>"
            for row in self.rows
        )
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        title = f"<p><b>{html.escape(self.title)}</b></p>" if self.title else ""
        return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


_WRAPPED = "white-space:pre-wrap; word-break:normal; overflow-wrap:anywhere"
"""JupyterLab breaks lines within words."""
_CODE = "font-family: var(--jp-code-font-family, monospace)"  # JupyterLab's, else any
_BYTES = re.compile(r"[0-9a-f]{2}( [0-9a-f]{2})+(\n|$)")
_NAME = re.compile(r"\S{24,}")
_JOINT = re.compile(r"(?<=[./|_:])(?=[^./|_:])")
"""Where a long name may be broken: `outbound_.9000_._.`, `tcp-echo.`, `with-istio.`, `svc`."""


def _floor(cell: str) -> int:
    """Return how narrow a cell can be before a short word or a row of bytes is broken."""
    if _BYTES.match(cell):
        return len(cell.split("\n", maxsplit=1)[0])
    return max([len(word) for word in cell.split() if len(word) < 24], default=1)


def _style(text: str) -> str:
    """Return a cell's style. A short cell stays on one line: a broken name is hard to read."""
    return "text-align:left" + ("; white-space:nowrap" if len(text) < 24 else "")


def _cell(text: str) -> str:
    lines = (_NAME.sub(_breakable, html.escape(line)) for line in text.split("\n"))
    shown = "<br>".join(lines)
    return (
        f"<span style='{_CODE}'>{shown}</span>"
        if text.startswith("$ ") or _BYTES.match(text)
        else shown
    )


def _breakable(name: re.Match[str]) -> str:
    return _JOINT.sub("<wbr>", name[0])


def wrap(text: str, width: int) -> list[str]:
    """Wrap a text into lines of at most `width`; a longer name breaks after `./|_:` if it can."""
    lines: list[str] = [""]
    for word in text.split():
        space = " " if lines[-1] else ""
        if len(lines[-1]) + len(space) + len(word) <= width:
            lines[-1] += space + word
            continue
        lines += [""] if lines[-1] else []
        for part in filter(None, _JOINT.split(word) if len(word) > width else [word]):
            if len(lines[-1]) + len(part) > width and lines[-1]:
                lines.append("")
            whole, rest = divmod(len(part), width)
            cut = [part[i * width : (i + 1) * width] for i in range(whole + bool(rest))]
            lines[-1:] = [lines[-1] + cut[0], *cut[1:]]
    return lines


def _row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    wrapped = [
        [line for part in cell.split("\n") for line in wrap(part, size)]
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
        return f"<pre style='{_CODE}; {_WRAPPED}'>{html.escape(repr(self))}</pre>"


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
        source = f"data:image/svg+xml;base64,{data}"
        image = f'<img alt="{html.escape(self.alt)}" style="max-width:100%" src="{source}">'
        return image + self.table._repr_html_()
