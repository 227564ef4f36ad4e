"""Draws figures with Matplotlib: the same content gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Literal

Format = Literal["svg", "png"]
Inches = tuple[float, float]


def data(
    size: Inches,
    draw: Callable[[Any], None],
    *,
    title: str = "",
    form: Format = "svg",
    constrained: bool = False,
) -> bytes:
    """Draw a figure, and return it as a file's bytes; `draw` fills its axes.

    The axes fill the figure. constrained: they leave room for labels around them.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {"svg.hashsalt": "lab", "svg.fonttype": "none", "font.family": "sans-serif"}
    settings["text.parse_math"] = False  # a `$` in recorded text begins no formula
    with mpl.rc_context(settings):
        figure = Figure(figsize=size, layout="constrained" if constrained else None)
        (FigureCanvasSVG if form == "svg" else FigureCanvasAgg)(figure)
        draw(figure.add_subplot() if constrained else figure.add_axes((0, 0, 1, 1)))
        buffer = io.BytesIO()
        about: dict[str, str | None] = {"Date" if form == "svg" else "Software": None}
        about |= {"Title": title} if title else {}
        figure.savefig(buffer, format=form, dpi=144, metadata=about)
    return buffer.getvalue()


def svg(
    size: Inches, draw: Callable[[Any], None], title: str = "", *, constrained: bool = False
) -> str:
    """Draw a figure, and return it as SVG text."""
    return data(size, draw, title=title, constrained=constrained).decode()
