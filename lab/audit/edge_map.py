"""A map of a mesh: who calls what, and how that crosses the network or fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lab.audit import seen
from lab.audit.edges import Edge, Walked
from lab.planes import Security
from lab.render.display import Table

_CROSSES: Mapping[Security, str] = {
    "mutual_tls": "mTLS",
    "tls": "TLS",
    "plaintext": "plain",
    "mixed": "mixed",
    "none": "-",
    "unknown": "unknown",
}
_FAILS = {"hangs": "hangs", "refused": "refused", "unknown": "unknown"}
WORST = ("plain", "mixed", "hangs", "broken", "refused", "unknown", "TLS", "mTLS", "-")
MOST_COLUMNS = 16
"""Destinations of one table: a wider one cannot be read."""


def tables(walked: Walked) -> Iterator[Table]:
    """Yield a table for each namespace that is called: the worst destinations first.

    A field is how calls of that caller cross, or how they fail; of several ways the worst.
    """
    spaces: dict[str, list[Edge]] = {}
    for edge in walked.edges:
        spaces.setdefault(_namespace(edge), []).append(edge)
    for space, edges in sorted(spaces.items()):
        fields = _fields(edges)
        worst: dict[str, int] = {}
        for (_, to), told in fields.items():
            worst[to] = min(worst.get(to, len(WORST)), WORST.index(told))
        columns = sorted(worst, key=lambda to: (worst[to], to))
        for first in range(0, len(columns), MOST_COLUMNS):
            yield _table(space, fields, columns[first : first + MOST_COLUMNS])


def word(edge: Edge) -> str:
    """Return in one word how an edge crosses, or how it fails."""
    outcome = edge.way.outcome
    if outcome == "unknown" and edge.way.wire is not None:
        outcome = "arrives"  # it leaves the mesh: how it crosses is known
    if outcome == "arrives":
        return _CROSSES[edge.crossed]
    return _FAILS.get(outcome, "broken")


def _namespace(edge: Edge) -> str:
    if edge.to.kind == "probe":
        return "probes"
    parts = edge.to.host.split(".")
    return f"namespace {parts[1]}" if edge.to.kind == "Service" else "outside the mesh's Services"


def _fields(edges: Sequence[Edge]) -> dict[tuple[str, str], str]:
    """Return (caller, destination) -> its word."""
    found: dict[tuple[str, str], str] = {}
    for edge in edges:
        key = (seen.workload(edge.caller.name), _column(edge))
        found[key] = min(found.get(key, "-"), word(edge), key=WORST.index)
    return found


def _column(edge: Edge) -> str:
    return edge.to.told or f"{edge.to.name.partition('.')[0]}:{edge.to.port}"


def _table(space: str, fields: Mapping[tuple[str, str], str], columns: Sequence[str]) -> Table:
    callers = sorted({caller for caller, to in fields if to in columns})
    rows = tuple((caller, *(fields.get((caller, to), "-") for to in columns)) for caller in callers)
    return Table(f"Calls to {space}", ("caller", *columns), rows)
