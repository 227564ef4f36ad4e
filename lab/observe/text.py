"""Shows what the planes say of a recorded edge, as text and as a picture."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lab.common.errors import BadEvidence
from lab.judge import planes
from lab.judge.case import Case
from lab.judge.disagreements import find_disagreements
from lab.judge.edge import Edge, observe_edge
from lab.judge.observation import Observation
from lab.model import store
from lab.observe import stored
from lab.render import call_pcapng, planes_figure
from lab.render.display import Table
from lab.render.wording import SHOWS, came_back


def text(case: Case, width: int) -> str:
    """Return the call, each plane's answer with its source, identities, and disagreements."""
    record = case.evidence.calls[0]
    seen = stored.seen(case)
    told = [f"$ {record.typed}", f"{case.failure.title}: {came_back(record)}", ""]
    if seen is None:
        return "\n".join([*told, f"nothing can be concluded: {case.unseen(stored.NAME)}"])
    edge = observe_edge(case, seen)
    told += [f"Together: {SHOWS[seen.security].upper()}", ""]
    told += [_planes(case, seen).text(width), ""]
    told += [_identities(edge).text(width), ""]
    told += [_odd(edge).text(width)]
    told += ["", *(f"note: {problem}" for problem in case.evidence.problems)]
    return "\n".join(told).rstrip()


def _planes(case: Case, seen: Observation) -> Table:
    rows = []
    for plane in planes.PLANES:
        said = plane.read(case, seen)
        shown = plane.shows(said)
        why = str(said.facts.get("because", said.why))
        rows.append((plane.name, SHOWS.get(shown, shown), why, plane.place(seen, said) or "-"))
    return Table("", ("plane", "says", "because", "source"), tuple(rows))


def _identities(edge: Edge) -> Table:
    rows = tuple(
        (whose, one.shown or "none was seen", one.held or "none: no sidecar")
        for whose, one in (("client", edge.client), ("server", edge.server))
    )
    return Table("", ("end", "certificate the other end took", "certificate it holds"), rows)


def _odd(edge: Edge) -> Table:
    found = find_disagreements(edge)
    rows = tuple((odd.name, odd.told, odd.likely) for odd in found) or (("none", "-", "-"),)
    return Table("", ("disagreement", "what was seen", "likely cause"), rows)


def files(case: Case) -> list[Path]:
    """Write the picture with its table, and the call's packets with comments; return the files."""
    written = [planes_figure.write(case, case.folder / "planes.svg")]
    packets = case.folder / "call.pcapng"
    with contextlib.suppress(BadEvidence):  # where none may be recorded, the wire says why
        call_pcapng.write(case, stored.NAME, packets)
        written.append(packets)
    return [store.from_here(path) for path in written]
