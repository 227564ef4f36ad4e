"""What graphs would have drawn of calls, and where the planes are at odds about them: as tables."""

from __future__ import annotations

from collections.abc import Sequence

from lab.judge import telemetry
from lab.judge.case import Case
from lab.judge.disagreements import find_disagreements
from lab.judge.edge import observe_edge
from lab.render.display import Table

MODEL = "A model of Kiali's rules, fed from the proxies' logs: neither Kiali nor Mixer runs."


def graphs_table(case: Case, names: Sequence[str]) -> Table:
    """Return what each generation of Kiali would have drawn of these calls, and why."""
    rows = []
    for name in names:
        seen = case.see(name)
        rows += [
            (name, *(str(said.facts[fact]) for fact in ("generation", "drawn", "because")))
            for said in (telemetry.graphs(case, seen) if seen else ())
        ] or [(name, *["no record"] * 3)]
    header = ("call", "drawn by", "what is drawn", "why")
    return Table("The edge in Kiali's graphs", header, tuple(rows), MODEL)


def disagreements_table(case: Case, names: Sequence[str]) -> Table:
    """Return what is at odds about these calls, by name, and what is likely behind it."""
    rows = []
    for name in names:
        seen = case.see(name)
        found = find_disagreements(observe_edge(case, seen)) if seen else ()
        rows += [(name, odd.name, odd.told, odd.likely) for odd in found] or [
            (name, "none" if seen else "no record", "-", "-")
        ]
    header = ("call", "disagreement", "what was seen", "likely cause")
    return Table("Where the planes are at odds", header, tuple(rows))
