"""A heat map of the truth table with filters, for a notebook that a person has open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from lab.render.display import Picture
from lab.render.widgets import by_keyboard
from lab.truth_table import figure
from lab.truth_table.axes import CALLERS, POLICIES
from lab.truth_table.cells import DEFAULTS
from lab.truth_table.text import Stored

WIDGETS = "LAB_WIDGETS"
"""Environment variable: `0` where a notebook is executed without anybody who could choose."""
NOTHING = "nothing else"


def chosen(rows: Mapping[str, Stored]) -> Picture | Explorer:
    """Return a heat map with filters; where nobody can choose, the heat map that it begins with."""
    explorer = Explorer(rows)
    return explorer.picture if os.environ.get(WIDGETS) == "0" else explorer


class Explorer:
    """Filters, and the heat map of what they choose."""

    def __init__(self, rows: Mapping[str, Stored]) -> None:
        self._rows = rows
        self._fixed = {"policy": "permissive", "caller": "sidecar", "changed": NOTHING}

    @property
    def changes(self) -> list[str]:
        """Return by which value a cell may leave the core: `rule=disable` and the like."""
        found = {
            f"{axis}={row[axis]}": None
            for row in self._rows.values()
            for axis, value in DEFAULTS.items()
            if row[axis] != value
        }
        return [NOTHING, *found]

    @property
    def picture(self) -> Picture:
        """Return the heat map of what is chosen now."""
        axis, _, value = self._fixed["changed"].partition("=")
        fixed = {name: self._fixed[name] for name in ("policy", "caller")}
        return figure.heat_map(self._rows, {**fixed, **({axis: value} if value else {})})

    def choose(self, **picked: str) -> Picture:
        """Choose a value of a filter; return the heat map."""
        self._fixed |= picked
        return self.picture

    def _repr_mimebundle_(self, **more: Any) -> Mapping[str, Any]:
        """Return the widget, and beside it what shows where no widget can."""
        widget: Mapping[str, Any] = self._widget()._repr_mimebundle_(**more)
        still = self.picture
        return {**widget, "text/html": still._repr_html_(), "text/plain": repr(still)}

    def _widget(self) -> Any:
        import ipywidgets

        shown = ipywidgets.HTML(self.picture._repr_html_())
        filters = []
        for name, label, values in (
            ("policy", "policy", [*POLICIES]),
            ("caller", "caller", [*CALLERS]),
            ("changed", "changed", self.changes),
        ):
            pick = ipywidgets.Dropdown(options=values, value=self._fixed[name], description=label)
            pick.observe(lambda change, name=name: self._show(shown, name, change["new"]), "value")
            filters.append(pick)
        return by_keyboard([ipywidgets.HBox(filters), shown])

    def _show(self, shown: Any, name: str, value: str) -> None:
        shown.value = self.choose(**{name: value})._repr_html_()
