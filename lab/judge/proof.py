"""What one call shows, for a person: what was sent, what crossed the wire, where it can be read."""

from __future__ import annotations

from dataclasses import dataclass

from lab.judge import disagreements
from lab.judge.case import Case
from lab.judge.observation import FINAL_HOP, Observation
from lab.planes import agreement, config, log


@dataclass(frozen=True)
class PlaneSaid:
    """One plane's answer, and where it can be read again."""

    plane: str
    source: str
    security: str
    why: str
    where: str


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
    graphs: tuple[disagreements.Graph, ...] = ()
    """Oldest generation first; derived from the proxies' logs, and no source of its own."""
    disagreements: tuple[disagreements.Disagreement, ...] = ()
    """Between the planes, and between them and what was meant, by name."""


def proof(case: Case, name: str) -> Proof | None:
    """What a call shows; of one through a gateway, the hop that is not secured if one is not."""
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
        name,
        record.typed,
        f"{record.outcome} {record.status or ''}".strip(),
        seen.security,
        packets.first_bytes.hex(" "),
        "".join(chr(b) if 32 <= b < 127 else "." for b in packets.first_bytes),
        packets.sni,
        record.marker,
        seen.marker_count,
        packets.client_bytes,
        str(seen.server.facts.get("peer") or ""),
        seen.wire.why,
        tuple(places(seen)),
        agreement(seen.planes),
        _nodes(case, seen),
        edge.graphs if edge else (),
        disagreements.disagreements(edge) if edge else (),
    )


def _edge(case: Case, seen: Observation) -> disagreements.Edge | None:
    """What is told beside a proof: where it cannot be worked out, the proof is still one."""
    try:
        return disagreements.edge(case, seen)
    except Exception:
        return None


def _nodes(case: Case, seen: Observation) -> tuple[str, ...]:
    pods = case.evidence.worlds[seen.record.world].pods
    between = (seen.call.source, seen.call.to)
    found = tuple(pods[name].node for name in between if name in pods)
    return found if len(found) == 2 and all(found) else ()


def places(seen: Observation) -> list[PlaneSaid]:
    """Each plane's answer with the file and place that it was read from."""
    call, world = seen.call, seen.record.world
    counted_at = call.source if seen.counted.source == log.CLIENT else call.to
    found = {
        "stats": f"evidence.json call {seen.record.name}, counters of {counted_at}",
        "packets": f"captures/{seen.wire.packets.file} frame {seen.wire.packets.frame}",
        log.SERVER: f"logs/{world}-{call.to}.jsonl line {seen.server.facts.get('line')}",
        log.CLIENT: f"logs/{world}-{call.source}.jsonl line {seen.client.facts.get('line')}",
        config.SOURCE: f"config/{seen.config.facts.get('file')}"
        f" listener {seen.config.facts.get('listener') or 'none'}",
    }
    return [
        PlaneSaid(
            said.plane,
            said.source,
            said.security,
            said.why,
            found[said.plane if said.plane == "stats" else said.source]
            if said.facts or (said is seen.wire and seen.wire.packets.found)
            else "",
        )
        for said in seen.planes
    ]
