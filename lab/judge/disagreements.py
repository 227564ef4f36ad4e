"""What the planes say of one edge together: its answers, identities, and named disagreements.

A disagreement is data: a name that stays, what is likely behind it, and a check that tells in a
sentence where it was seen. A plane that cannot say disagrees with nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.envoy.mesh import address_text
from lab.judge.edge import Edge, Graph
from lab.model import call_types
from lab.planes import against
from lab.planes.graph import PASSTHROUGH
from lab.planes.log import field_text, sent_elsewhere

MUTUAL_RULE = "ISTIO_MUTUAL"
MEANS_TLS = ("tls", "mutual_tls")


@dataclass(frozen=True)
class DisagreementKind:
    """One sort of disagreement."""

    name: str
    likely: str
    """The cause that is likely where it is seen."""
    check: Callable[[Edge], str]
    """What was seen of it, in a sentence; nothing where it is not there."""


@dataclass(frozen=True)
class Disagreement:
    """One that was found on an edge."""

    name: str
    told: str
    likely: str


def find_disagreements(edge: Edge) -> tuple[Disagreement, ...]:
    """Return what is at odds on an edge, by name; `unexplained` where no name fits."""
    found = [
        Disagreement(kind.name, told, kind.likely) for kind in KINDS if (told := kind.check(edge))
    ]
    odd = against(edge.answers)
    if odd and not found:
        told = f"the wire says {edge.seen.wire.security}; {', '.join(odd)}"
        found.append(Disagreement(UNEXPLAINED, told, "none that has a name here"))
    return tuple(found)


UNEXPLAINED = "unexplained"


def beside_the_wire(word: str, graphs: Sequence[Graph]) -> str:
    """Return what is so on the wire and what in the graphs, of a claim about a missing lock.

    word: what was found on the wire. The oldest generation is the one that the claim is of.
    """
    oldest, *later = graphs
    then = f"a Kiali graph of {oldest.when[:4]} ({oldest.generation})"
    told = {
        "no lock": f"reproduced in {then}, because {oldest.because}",
        "lock": f"not reproduced in {then}, where there is a lock: {oldest.because}",
        "no edge": f"no edge in {then}: {oldest.because}",
    }.get(oldest.drawn, f"unknown in any graph: {oldest.because}")
    parts = [f"{word} on the wire", told]
    for drawn in ("lock", "no lock", "no edge"):
        alike = [one for one in later if one.drawn == drawn]
        parts += [f"{drawn} in {_named(alike)}: {alike[0].because}"] if alike else []
    return "; ".join(parts)


def _another_connection(edge: Edge) -> str:
    return edge.strangeness


def _blind_to_tcp(edge: Edge) -> str:
    drawn = {one.drawn for one in edge.graphs}
    if edge.seen.security != "mutual_tls" or "lock" not in drawn or "no lock" not in drawn:
        return ""
    blind, sighted = (
        _named([one for one in edge.graphs if one.drawn == drawn]) for drawn in ("no lock", "lock")
    )
    return f"the edge is mutual TLS: a lock in {sighted}, none in {blind}"


def _not_reported(edge: Edge) -> str:
    newest = edge.graphs[-1]
    if edge.seen.security != "mutual_tls" or newest.drawn not in ("no lock", "no edge"):
        return ""
    return f"the edge is mutual TLS; {newest.drawn} in {newest.generation}: {newest.because}"


def _named(graphs: Sequence[Graph]) -> str:
    return " and ".join(one.generation for one in graphs)


def _own_tls(edge: Edge) -> str:
    seen = edge.seen
    if seen.wire.security != "tls" or "mutual_tls" in (seen.server.security, seen.client.security):
        return ""
    if seen.client.security == "tls":
        return "the client's sidecar spoke TLS, and showed no certificate of the mesh"
    if call_types.first_bytes(seen.call.command) != "tls":
        return ""
    if seen.server.security == "plaintext":
        return "the wire is TLS from the application on; the server's sidecar saw none of its own"
    untouched = seen.client_line is None or seen.client.facts.get("cluster") == PASSTHROUGH
    return "the application's own TLS is what crossed, and no peer is named" if untouched else ""


def _bypassed(edge: Edge) -> str:
    crossed = edge.seen.wire.security not in ("none", "unknown")
    return "; ".join(edge.past) if crossed else ""


def _answered_before(edge: Edge) -> str:
    seen = edge.seen
    meant = seen.config.security not in ("none", "unknown")
    alone = seen.wire.security == "none" and seen.client.security == "none"
    if not (meant and alone):
        return ""
    return f"the configuration means {seen.config.security}, and nothing crossed: {seen.client.why}"


def _other_server(edge: Edge) -> str:
    line, query = edge.seen.client_line or {}, edge.seen.query
    if query is None or (host := sent_elsewhere(line, query.targets)) is None:
        return ""
    cluster = field_text(line, "upstream_cluster")
    to = address_text(host)
    return f"the client's proxy sent it through {cluster} to {to}, and not to whom was asked"


def _waits(edge: Edge) -> str:
    return edge.waits


def _no_tls_there(edge: Edge) -> str:
    failure = edge.seen.client.facts.get("failure")
    if edge.seen.wire.security != "mixed" or edge.seen.client.security != "tls":
        return ""
    return f"the client's proxy began TLS, and was answered without it: {failure}"


def _double(edge: Edge) -> str:
    if edge.seen.security != "mutual_tls" or edge.handed_on.security not in ("tls", "mutual_tls"):
        return ""
    return "the edge is mutual TLS, and what the server's sidecar handed on is TLS again"


def _read_though_refused(edge: Edge) -> str:
    seen = edge.seen
    count = seen.wire.packets.marker_in_client
    if seen.record.outcome == "answered" or not count:
        return ""
    return f"the call was {seen.record.outcome}, and its marker was read {count}x on the wire"


def _meant_otherwise(edge: Edge) -> str:
    seen = edge.seen
    if seen.config.security != "mutual_tls" or seen.wire.security not in ("plaintext", "mixed"):
        return ""
    return f"the configuration means mutual TLS, and the wire is {seen.wire.security}"


def _rule_missed(edge: Edge) -> str:
    seen = edge.seen
    meant = seen.config.security == "mutual_tls"  # then the configuration is at odds, not the rule
    if meant or edge.rule != MUTUAL_RULE or seen.wire.security not in ("plaintext", "mixed"):
        return ""
    return f"the rule says {edge.rule}, and the wire is {seen.wire.security}: {seen.config.why}"


def _log_at_odds(edge: Edge) -> str:
    seen = edge.seen
    if seen.wire.security in ("plaintext", "mixed"):
        claims = [one for one in (seen.server, seen.client) if one.security == "mutual_tls"]
        said = " and ".join(one.source for one in claims)
        return f"the {said} says mutual_tls, and the wire is {seen.wire.security}" if said else ""
    return ""


def _counters_at_odds(edge: Edge) -> str:
    counted, wire = edge.seen.counted, edge.seen.wire
    if wire.security not in ("plaintext", "mixed") or counted.security not in MEANS_TLS:
        return ""
    return f"the {counted.source} counted {counted.security}, and the wire is {wire.security}"


def _other_identity(edge: Edge) -> str:
    told = [
        f"the {whose} showed {one.shown}, and its proxy holds {one.held}"
        for whose, one in (("client", edge.client), ("server", edge.server))
        if one.shown and one.held and one.shown != one.held
    ]
    return "; ".join(told)


KINDS = (
    DisagreementKind(
        "log of another connection",
        "a line of another call or of another time: nothing is drawn from it",
        _another_connection,
    ),
    DisagreementKind(
        "telemetry blind to TCP",
        "that graph asks for the policy of HTTP requests only (kiali/kiali#1709)",
        _blind_to_tcp,
    ),
    DisagreementKind(
        "telemetry without the destination's word",
        "only the destination's report has a policy: a gateway makes none, and one of TCP is asked "
        "for what the server sent",
        _not_reported,
    ),
    DisagreementKind(
        "TLS of the application, not of the mesh",
        "the caller speaks TLS by itself, or its sidecar was told to without the mesh's identity",
        _own_tls,
    ),
    DisagreementKind(
        "bypassed the sidecar",
        "no listener for that port or address, a port that is excluded from capture, or a process "
        "that runs as the sidecar's user",
        _bypassed,
    ),
    DisagreementKind(
        "answered before the wire",
        "the client's sidecar refuses the request, or has nowhere to send it",
        _answered_before,
    ),
    DisagreementKind(
        "another server than was asked",
        "a listener that takes every destination of its port, such as of a ServiceEntry without "
        "addresses, or a route that leads elsewhere",
        _other_server,
    ),
    DisagreementKind(
        "TLS to a server that speaks none",
        "the port is excluded from the server's sidecar, or its policy differs from the one that "
        "the client was told of, as with a headless Service and a port-level policy",
        _no_tls_there,
    ),
    DisagreementKind(
        "a proxy waits for first bytes",
        "it reads them to tell what is spoken, and the client waits for the server to speak first",
        _waits,
    ),
    DisagreementKind(
        "double TLS",
        "the application speaks TLS by itself over a port that Istio carries as TCP",
        _double,
    ),
    DisagreementKind(
        "refused but readable",
        "a server can refuse what it gets, and cannot unsend what a client has sent",
        _read_though_refused,
    ),
    DisagreementKind(
        "configuration says mutual TLS, the wire says plaintext",
        "the call did not take the way that was configured, or the configuration is another one",
        _meant_otherwise,
    ),
    DisagreementKind(
        "the rule does not reach the call",
        "a more specific rule replaces it, or the call goes to no cluster that it is made for",
        _rule_missed,
    ),
    DisagreementKind(
        "a log at odds with the packets",
        "the line or the capture is of another connection, or one of them was altered",
        _log_at_odds,
    ),
    DisagreementKind(
        "counters of another call",
        "something else called it meanwhile, or the counts were altered",
        _counters_at_odds,
    ),
    DisagreementKind(
        "identity of somebody else",
        "the certificate was renewed under another name, or it is not that pod's",
        _other_identity,
    ),
)
"""In the order in which they are told."""
