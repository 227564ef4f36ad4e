"""What telemetry has of an observed hop, and what Kiali's generations would draw from it."""

from __future__ import annotations

from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.judge.pod_path import past_client, past_server
from lab.planes import Seen, graph, stats
from lab.planes.kiali import GENERATIONS, Generation
from lab.planes.log import SERVER


def graphs(case: Case, seen: Observation) -> tuple[Seen, ...]:
    """Return what each generation of Kiali would draw of a hop, oldest first."""
    return tuple(graph_of_generation(generation, case, seen) for generation in GENERATIONS)


def graph_of_generation(generation: Generation, case: Case, seen: Observation) -> Seen:
    """Return what one generation of Kiali would draw of a hop."""
    return graph.says(generation, graph.derive(reported_hop(case, seen)))


def reported_hop(case: Case, seen: Observation) -> graph.ReportedHop:
    """Return an observed hop as telemetry is derived from it."""
    client, server = case.pods(seen)
    between = client is not None and server is not None
    return graph.ReportedHop(
        seen.call.source,
        seen.call.service or seen.call.to,
        client is not None and client.sidecar and not past_client(case, seen),
        server is not None and server.sidecar and not past_server(case, seen),
        seen.client_line,
        seen.server_line,
        case.flavour(seen),
        seen.strangeness if between else "it is no call between pods",
        _unheard(seen),
    )


def _unheard(seen: Observation) -> str:
    """Return why no request can have come to the server's proxy, or nothing."""
    if seen.wire.security == "none":
        return seen.wire.why
    if seen.counted.source == SERVER and stats.FAILED & set(seen.counted.facts):
        return f"no request came out of the handshake: {seen.counted.why}"
    return ""
