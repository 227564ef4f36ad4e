"""Draws a part of the truth table as a heat map; each field has its words in it."""

from __future__ import annotations

from collections.abc import Mapping

from lab.render import field_map
from lab.render.display import Picture
from lab.truth_table import text
from lab.truth_table.text import Stored


def heat_map(rows: Mapping[str, Stored], fixed: Mapping[str, str]) -> Picture:
    """Return what is sent by what the port is called, drawn, with its table beside it."""
    return field_map.picture(text.matrix(rows, fixed))
