"""Writes a page of figures, each with its table beside it, and of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.common import files
from lab.model import store
from lab.render.display import Picture, Table
from lab.report import figure, page


@dataclass(frozen=True)
class Part:
    """One section of the page."""

    name: str
    """Of its anchor."""
    title: str
    shows: Picture | Table

    @property
    def svg(self) -> str:
        """Return its figure as a part of the page; empty where it has none."""
        return figure.inline(self.shows, self.name) if isinstance(self.shows, Picture) else ""

    @property
    def table(self) -> Table:
        return self.shows.table if isinstance(self.shows, Picture) else self.shows


def write(
    path: Path, title: str, lede: str, parts: Sequence[Part], facts: Mapping[str, str]
) -> Path:
    """Write the page, and return its file. facts: what it shows, and what that was made on."""
    shown: dict[str, Any] = {"title": title, "lede": lede, "parts": parts, "facts": facts}
    files.write_text(path, page.render("pictures.html", store.runs(), **shown))
    return path
