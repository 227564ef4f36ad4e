"""What one call shows, for a person: what was sent, what crossed the wire, where it can be read."""

from __future__ import annotations

from dataclasses import dataclass

from lab.judge.case import Case
from lab.judge.disagreements import Disagreement, find_disagreements
from lab.judge.edge import Edge, Graph, observe_edge
from lab.judge.observation import FINAL_HOP, Observation
from lab.judge.planes import read_witnesses, witnesses
from lab.planes import agreement


@dataclass(frozen=True)
class PlaneSaid:
    """One plane's answer, and where it can be read again."""

    plane: str
    source: str
    security: str
    why: str
    where: str
    walk: tuple[str, ...] = ()
    """Of the control plane: each decision on the way that the configuration gives the call."""


@dataclass(frozen=True)
class Proof:
    """What one call shows, for a person: what was sent, and what crossed the wire."""

    call: str
    typed: str
    outcome: str
    security: str
    first_bytes: str
    first_text: str
    sni: str
    marker: str
    marker_count: int
    client_bytes: int
    peer: str
    why: str
    planes: tuple[PlaneSaid, ...]
    agreement: str
    """How many sources agree with the wire, and which do not."""
    nodes: tuple[str, ...]
    """Of the caller and of whom it called; empty where that was not recorded."""
    graphs: tuple[Graph, ...] = ()
    """Oldest generation first; derived from the proxies' logs, and no source of its own."""
    disagreements: tuple[Disagreement, ...] = ()
    """Between the planes, and between them and what was meant, by name."""


def proof(case: Case, name: str) -> Proof | None:
    """Return what a call shows; through a gateway, the hop that is not secured if one is not."""
    try:
        seen = case.see(name)
        if seen and seen.security == "mutual_tls" and case.calls[name].through:
            seen = case.see(name + FINAL_HOP) or seen
    except Exception:
        return None
    if seen is None:
        return None
    edge, packets = _edge(case, seen), seen.wire.packets
    record = seen.record
    return Proof(
        call=name,
        typed=record.typed,
        outcome=f"{record.outcome} {record.status or ''}".strip(),
        security=seen.security,
        first_bytes=packets.first_bytes.hex(" "),
        first_text="".join(chr(b) if 32 <= b < 127 else "." for b in packets.first_bytes),
        sni=packets.sni,
        marker=record.marker,
        marker_count=seen.marker_count,
        client_bytes=packets.client_bytes,
        peer=str(seen.server.facts.get("peer") or ""),
        why=seen.wire.why,
        planes=tuple(places(case, seen)),
        agreement=agreement(read_witnesses(case, seen)),
        nodes=_nodes(case, seen),
        graphs=edge.graphs if edge else (),
        disagreements=find_disagreements(edge) if edge else (),
    )


def _edge(case: Case, seen: Observation) -> Edge | None:
    """Return what is shown beside a proof; None where it cannot be worked out."""
    try:
        return observe_edge(case, seen)
    except Exception:
        return None


def _nodes(case: Case, seen: Observation) -> tuple[str, ...]:
    pods = case.evidence.worlds[seen.record.world].pods
    between = (seen.call.source, seen.call.to)
    found = tuple(pods[name].node for name in between if name in pods)
    return found if len(found) == 2 and all(found) else ()


def places(case: Case, seen: Observation) -> list[PlaneSaid]:
    """Return each witness's answer with the file and place that it was read from."""
    found = []
    for plane in witnesses():
        said = plane.read(case, seen)
        where = plane.place(seen, said)
        walk = said.facts.get("walk")
        steps = tuple(walk) if isinstance(walk, list) else ()
        found.append(PlaneSaid(said.plane, said.source, said.security, said.why, where, steps))
    return found
