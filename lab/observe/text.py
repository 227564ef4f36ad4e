"""Shows what the planes say of a recorded edge, as text and as a picture."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lab.common.errors import BadEvidence
from lab.judge import disagreements
from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.judge.proof import places
from lab.model import store
from lab.observe import stored
from lab.render import call_pcapng, planes_figure
from lab.render.display import Table
from lab.render.wording import SHOWS, came_back

WORDS = {
    "wire": "packets",
    "stats": "counters",
    "config": "control plane",
}


def text(case: Case, width: int) -> str:
    """Return the call, each plane's answer with its source, identities, and disagreements."""
    record = case.evidence.calls[0]
    seen = stored.seen(case)
    told = [f"$ {record.typed}", f"{case.failure.title}: {came_back(record)}", ""]
    if seen is None:
        return "\n".join([*told, f"nothing can be concluded: {case.unseen(stored.NAME)}"])
    edge = disagreements.edge(case, seen)
    told += [f"Together: {SHOWS[seen.security].upper()}", ""]
    told += [_planes(seen, edge).text(width), ""]
    told += [_identities(edge).text(width), ""]
    told += [_odd(edge).text(width)]
    told += ["", *(f"note: {problem}" for problem in case.evidence.problems)]
    return "\n".join(told).rstrip()


def _planes(seen: Observation, edge: disagreements.Edge) -> Table:
    rows = [
        (WORDS.get(said.plane, said.source), SHOWS[said.security], said.why, said.where or "-")
        for said in places(seen)
    ]
    rows += [
        (one.generation, one.drawn, one.because, "a model of its rules") for one in edge.graphs
    ]
    return Table("", ("plane", "says", "because", "source"), tuple(rows))


def _identities(edge: disagreements.Edge) -> Table:
    rows = tuple(
        (whose, one.shown or "none was seen", one.held or "none: no sidecar")
        for whose, one in (("client", edge.client), ("server", edge.server))
    )
    return Table("", ("end", "certificate the other end took", "certificate it holds"), rows)


def _odd(edge: disagreements.Edge) -> Table:
    found = disagreements.disagreements(edge)
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
