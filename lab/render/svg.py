"""What all figures share: the same content gives the same bytes, and no text is a formula."""

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
    """A figure as a file; `draw` fills its axes, which are all of it.

    constrained: axes as large as a layout leaves them, in the place of all of it.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {"svg.hashsalt": "lab", "svg.fonttype": "none", "font.family": "sans-serif"}
    settings["text.parse_math"] = False  # a `$` in what was recorded is no formula
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
    """The same as text."""
    return data(size, draw, title=title, constrained=constrained).decode()
