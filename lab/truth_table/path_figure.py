"""Draws the way of one call: application, sidecar, network, sidecar, application."""

from __future__ import annotations

from typing import Any, NamedTuple

from lab.envoy.way import CLIENT, SERVER, Way
from lab.predict.text import way_text
from lab.render import svg
from lab.render.display import Picture, Table, wrap
from lab.render.edges_figure import STYLES

STATIONS = ("client", "client's sidecar", "network", "server's sidecar", "server")
_CROSSES = {
    "mutual_tls": "[locked] mutual TLS",
    "tls": "[locked] TLS, not the mesh's",
    "mixed": "[open] plaintext, then TLS",
    "plaintext": "[open] plaintext",
}
_LINES = {**STYLES, "in its pod": ("#222222", "-", 1.2)}
_ENDS = {
    "refused": "[refused]",
    "answered by a proxy": "[answers itself]",
    "redirected": "[redirects]",
    "hangs": "[hangs]",
    "unknown": "[not known]",
}


class Station(NamedTuple):
    """One place on the way, and what happens there."""

    name: str
    says: str
    reached: bool
    style: str = "none"
    """Of the line to it, one of _LINES."""


def stations(way: Way, *, sends: str, caller: bool, server: bool) -> list[Station]:
    """Return the five places of a way. caller, server: whether there is a sidecar at that end."""
    security = way.wire.security if way.wire else "none"
    crosses = way.wire is not None
    ended_early = way.by == CLIENT and way.outcome not in ("arrives", "unknown")
    arrives = way.outcome == "arrives"
    return [
        Station("client", f"sends {sends}", True),
        Station("client's sidecar", _proxy(way, CLIENT, there=caller), True, "in its pod"),
        Station("network", _CROSSES[security] if crosses else "nothing", crosses, security),
        Station(
            "server's sidecar",
            _proxy(way, SERVER, there=server) if crosses and not ended_early else "not reached",
            crosses and not ended_early,
            security,
        ),
        Station(
            "server",
            f"is given {way.detail}" if arrives else "is given nothing",
            arrives,
            "in its pod" if arrives else "none",
        ),
    ]


def _proxy(way: Way, who: str, *, there: bool) -> str:
    """Return what a sidecar does with a call, in a few words."""
    if not there:
        return "there is none"
    if way.by == who and way.outcome in _ENDS:
        status = f" {way.status}" if way.status else ""
        return f"{_ENDS[way.outcome]}{status} {way.detail or way.unknown}"
    own = [one for one in way.steps if one.where == who]
    if any(one.cluster == "PassthroughCluster" for one in own):
        return "passes it on as it came"
    if any(one.kind == "decrypts" for one in own):
        return "takes mutual TLS off, and hands it on"
    if who == CLIENT and way.wire is not None and way.wire.tls is not None:
        return "puts mutual TLS around it"
    return "hands it on"


def picture(way: Way, *, sends: str, caller: bool, server: bool) -> Picture:
    """Return the way as a figure, with a text alternative and a table of its steps."""
    found = stations(way, sends=sends, caller=caller, server=server)
    alt = "; ".join(f"{one.name}: {one.says}" for one in found)
    return Picture(svg.svg((10, 1.9), lambda axes: _draw(axes, found)), alt, _steps(way))


def _steps(way: Way) -> Table:
    rows = tuple(
        (str(number), one.where, one.what, one.source) for number, one in enumerate(way.steps, 1)
    )
    end = way_text(way).rpartition("\n\n")[2]
    return Table("Each step", ("", "where", "what happens", "decided by"), rows, end)


def _draw(axes: Any, found: list[Station]) -> None:
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 1.9)
    axes.axis("off")
    for number, one in enumerate(found):
        middle = 2 * number + 1
        colour = "#222222" if one.reached else "#767676"
        width = 1.2 if one.reached else 0.6
        axes.add_patch(_box(middle, colour, width))
        axes.text(middle, 1.55, one.name, ha="center", va="center", fontsize=9, color=colour)
        lines = wrap(one.says, 24)
        axes.text(
            middle, 0.72, "\n".join(lines), ha="center", va="center", fontsize=8, color=colour
        )
        if number:
            drawn, line, thick = _LINES[one.style if one.reached else "none"]
            axes.plot(
                [middle - 1.12, middle - 0.88], [1.0, 1.0], color=drawn, linestyle=line, lw=thick
            )


def _box(middle: float, colour: str, width: float) -> Any:
    from matplotlib.patches import FancyBboxPatch

    shape = "round,pad=0,rounding_size=0.08"
    return FancyBboxPatch(
        (middle - 0.88, 0.12), 1.76, 1.66, boxstyle=shape, fill=False, edgecolor=colour, lw=width
    )
