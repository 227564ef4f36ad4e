"""Gathers what is known of one edge: every plane's answer, graphs, identities, its rule."""

from __future__ import annotations

from dataclasses import dataclass

from lab.judge import pod_path, telemetry
from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.judge.planes import read_witnesses
from lab.model.evidence import PodRecord
from lab.planes import Seen
from lab.planes.graph import PASSTHROUGH


@dataclass(frozen=True)
class Identity:
    """Who is at one end, by certificate."""

    shown: str
    """The SPIFFE name in the other end's log; empty where none was shown or told."""
    held: str
    """The one that the pod's own proxy held when the run began; empty where it has none."""


@dataclass(frozen=True)
class Graph:
    """What one generation of Kiali would have drawn of an edge, by a model of its rules."""

    generation: str
    when: str
    """That version's date, ISO."""
    drawn: str
    """lock, no lock, no edge, or unknown."""
    because: str

    @classmethod
    def from_seen(cls, said: Seen) -> Graph:
        generation, when, drawn, because = (
            str(said.facts[name]) for name in ("generation", "when", "drawn", "because")
        )
        return cls(generation, when, drawn, because)


@dataclass(frozen=True)
class Edge:
    """One hop of a call, and everything that is known of how it was secured."""

    seen: Observation
    answers: tuple[Seen, ...]
    """Of each plane, the wire's first; derived ones last."""
    graphs: tuple[Graph, ...]
    """Of each generation of Kiali, oldest first."""
    handed_on: Seen
    """What the server's sidecar sent to its application."""
    client: Identity
    server: Identity
    rule: str
    """The DestinationRule's mode in this world."""
    past: tuple[str, ...]
    """Where a sidecar was passed by, in words."""
    waits: str
    """Whose proxy waits for bytes that do not come, in words; else nothing."""
    strangeness: str
    """Why its log lines are not those of the captured connection, or nothing."""


def observe_edge(case: Case, seen: Observation) -> Edge:
    """Return everything that the stored files say of an observed hop."""
    world = case.evidence.worlds[seen.record.world]
    graphs = telemetry.graphs(case, seen)
    client, server = case.pods(seen)
    between = client is not None and server is not None
    return Edge(
        seen=seen,
        answers=(*read_witnesses(case, seen), *graphs),
        graphs=tuple(Graph.from_seen(said) for said in graphs),
        handed_on=pod_path.handed_on(case, seen) if between else seen.wire,
        client=_identity(client, seen.server),
        server=_identity(server, seen.client),
        rule=world.rule if client is not None and client.sidecar else "",
        past=tuple(_past(case, seen, server.ip)) if server is not None else (),
        waits=pod_path.waits(case, seen) if between else "",
        strangeness=seen.strangeness,
    )


def _identity(pod: PodRecord | None, said: Seen) -> Identity:
    """Return who a pod is; said: what the other end's proxy logged.

    Only a handshake that was not refused proves the name in it.
    """
    shown = str(said.facts.get("peer") or "") if said.security == "mutual_tls" else ""
    return Identity(shown, pod.certificate.get("spiffe", "") if pod else "")


def _past(case: Case, seen: Observation, server_ip: str) -> list[str]:
    """Return where a sidecar was passed by, in words."""
    told = []
    line = seen.client_line or {}
    if line.get("upstream_cluster") == PASSTHROUGH:
        to = str(line.get("upstream_host") or "nowhere")
        whose = ", the pod's own address" if to.rpartition(":")[0] == server_ip else ""
        told.append(f"the client's sidecar passed it on as it came, to {to}{whose}")
    if pod_path.past_client(case, seen):
        told.append("it left the client's pod by the application's own port, past its sidecar")
    if pod_path.past_server(case, seen):
        told.append("the application answered, and nothing came to it from its sidecar")
    return told
