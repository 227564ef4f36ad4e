"""Widgets of a notebook that are used by keyboard too."""

from __future__ import annotations

from typing import Any

_CLASS = "lab-widgets"
_KEYS = f"""{{
  const keep = ({{target}}) =>
    target?.closest(".{_CLASS}") && target.setAttribute("data-lm-suppress-shortcuts", "true");
  document.addEventListener("focusin", keep);
  keep({{target: document.activeElement}});
}}"""


def by_keyboard(parts: list[Any]) -> Any:
    """Return widgets below one another, in which keys are the widgets' own.

    Else JupyterLab takes the arrow keys, and letters, of a list for commands about cells. Lumino,
    its toolkit, leaves them to an element that has this attribute, which no widget can set
    (matchKeyBinding in its packages/commands).
    """
    import ipywidgets

    script = {
        "output_type": "display_data",
        "data": {"application/javascript": _KEYS, "text/plain": ""},
        "metadata": {},
    }
    box = ipywidgets.VBox([*parts, ipywidgets.Output(outputs=(script,))])
    box.add_class(_CLASS)
    return box
