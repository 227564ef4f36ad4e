"""One combination of the table: the model's walk, what was measured, and the call made for real."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from lab.common.errors import BadArguments, LabError
from lab.common.suggest import meant
from lab.render.display import Picture, Table, Text
from lab.render.widgets import by_keyboard
from lab.truth_table import path_figure, results
from lab.truth_table.axes import CALLERS, PAYLOADS, POLICIES, PORT_NAMES
from lab.truth_table.cells import Cell
from lab.truth_table.explore import WIDGETS
from lab.truth_table.kept_mesh import KeptMesh
from lab.truth_table.text import Stored

AXES: Mapping[str, tuple[str, ...]] = {
    "port_name": tuple(PORT_NAMES),
    "sends": tuple(name for name, one in PAYLOADS.items() if not one.udp),
    "policy": tuple(POLICIES),
    "caller": tuple(CALLERS),
}
"""What is chosen, and from what. UDP does not pass a sidecar: there is nothing to walk."""
LABELS = {"port_name": "port name", "sends": "client sends", "policy": "policy", "caller": "caller"}


class OneCall:
    """A call that is chosen by four values, and all that is known of it."""

    def __init__(self, rows: Mapping[str, Stored], mesh: KeptMesh | None = None) -> None:
        self._rows, self._mesh = rows, mesh or KeptMesh()
        self._chosen = {
            "port_name": "http", "sends": "http1.1", "policy": "strict", "caller": "sidecar",
        }  # fmt: skip

    @property
    def cell(self) -> Cell:
        """Return the combination that is chosen now."""
        return Cell(**self._chosen)

    def choose(self, **picked: str) -> OneCall:
        """Choose a value of one or more axes. Raises BadArguments for one that there is not."""
        for axis, value in picked.items():
            if axis not in AXES:
                near = meant(axis, AXES)
                raise BadArguments(f"no axis {axis!r}: {near}there is {', '.join(AXES)}")
            if value not in AXES[axis]:
                near = meant(value, AXES[axis])
                there = ", ".join(AXES[axis])
                raise BadArguments(f"no {axis} {value!r}: {near}there is {there}")
        self._chosen |= picked
        return self

    def walk(self) -> Picture | Text:
        """Return the model's walk of the call, drawn, with its steps as a table."""
        key = self.cell.key
        if key not in self._mesh.calls:
            return Text((f"{key} was not measured: nothing of it is kept.",))
        way, *others = self._mesh.ways(key)
        if others:
            way = max((way, *others), key=lambda one: one.share)
        return path_figure.picture(
            way,
            sends=PAYLOADS[self.cell.sends].about,
            caller=self.cell.caller == "sidecar",
            server=self.cell.server == "sidecar",
        )

    def measured(self) -> Table | Text:
        """Return what the recorded table has of the call, beside what was foretold."""
        row = self._rows.get(self.cell.key)
        if row is None:
            return Text((f"{self.cell.key} was not measured.",))
        names = ("outcome", "by", "status", "wire")
        rows = tuple((name, row[f"foretold_{name}"], row[name]) for name in names)
        return Table("Foretold and measured", ("", "foretold", "measured"), rows)

    def call(self, cluster: str = "auto") -> Table | Text:
        """Make the call now, on a cluster, and return what was measured beside what was foretold.

        cluster: as of `lab.open_run`. Without one nothing is called.
        """
        from clusters import kind_of
        from lab.notebook.open_run import choose
        from lab.truth_table import now

        word, why = choose(cluster)
        if kind_of(word).replayed:
            return Text((f"No call is made: no cluster runs here ({why}).",))
        return OneCall(now.measure(self.cell, word), self._mesh).choose(**self._chosen).measured()

    def _repr_mimebundle_(self, **more: Any) -> Mapping[str, Any]:
        """Return the widget, and beside it what shows where no widget can."""
        still = {"text/html": self._html(), "text/plain": repr(self)}
        if os.environ.get(WIDGETS) == "0":
            return still
        widget: Mapping[str, Any] = self._widget()._repr_mimebundle_(**more)
        return {**widget, **still}

    def __repr__(self) -> str:
        return f"{self.cell.key}\n\n{self.walk()!r}\n\n{self.measured()!r}"

    def _html(self) -> str:
        return self.walk()._repr_html_() + self.measured()._repr_html_()

    def _widget(self) -> Any:
        import ipywidgets

        shown = ipywidgets.HTML(self._html())
        picks = []
        for axis, values in AXES.items():
            pick = ipywidgets.Dropdown(
                options=values, value=self._chosen[axis], description=LABELS[axis]
            )
            pick.observe(lambda change, axis=axis: self._show(shown, axis, change["new"]), "value")
            picks.append(pick)
        button = ipywidgets.Button(description="Make the call now")
        said = ipywidgets.HTML()
        button.on_click(lambda _: self._call_now(button, said))
        return by_keyboard([ipywidgets.HBox(picks), shown, button, said])

    def _show(self, shown: Any, axis: str, value: str) -> None:
        shown.value = self.choose(**{axis: value})._html()

    def _call_now(self, button: Any, said: Any) -> None:
        button.disabled, said.value = True, "<p>The call is being made ...</p>"
        try:
            said.value = self.call()._repr_html_()
        except LabError as problem:
            said.value = Text((str(problem),))._repr_html_()
        finally:
            button.disabled = False


def open_call() -> OneCall:
    """Return the explorer over the recorded table."""
    from lab.model import store

    return OneCall(results.load(store.RECORDED / "truth_table"))
