"""Follows a call inside and between its pods: application, sidecar, eth0, and back.

Each function takes a case and a hop that it observed.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.common.errors import BadEvidence
from lab.judge.case import Case
from lab.judge.observation import FINAL_HOP, Observation, Tap
from lab.model.evidence import PodRecord
from lab.packets.pcap import Connection
from lab.planes import log, wire
from lab.planes.capture_file import REDIRECTED, CaptureFile, on_loopback
from lab.planes.wire import ConnectionQuery, WireSeen

FROM_SIDECAR = "127.0.0.6"
"""The address from which a sidecar calls its own application."""


def handed_on(case: Case, seen: Observation) -> WireSeen:
    """Return what the server's sidecar sent to its application, on the pod's own loopback."""
    query = _query_to_application(case, seen)
    capture = case.hop_evidence(seen).capture(seen.call.to, "lo")
    if query is None or capture is None:
        why = "went nowhere" if seen.server_line else "the server's proxy has no line of it"
        return WireSeen("wire", wire.SOURCE, "none" if seen.server_line else "unknown", why)
    return wire.read(query, capture, None, seen.record.marker.encode())


def taps(case: Case, name: str) -> tuple[Tap, ...]:
    """Return the interfaces that a call passes, in its direction, through a gateway too.

    There are none where `see` sees nothing, and none of a call to the API server.
    """
    hops = [case.see(name)]
    if case.calls[name].through:
        hops.append(case.see(name + FINAL_HOP))
    seen = [hop for hop in hops if hop and hop.query]
    found = [tap for hop in seen for tap in _between_pods(case, hop)]
    if seen and case.hop_evidence(seen[0]).client.sidecar:
        found.insert(0, _from_application(case, seen[0]))
    if len(seen) == len(hops) and case.hop_evidence(seen[-1]).server.sidecar:
        found.append(_to_application(case, seen[-1]))
    return tuple(found)


def past_client(case: Case, seen: Observation) -> bool:
    """Return whether a call left its pod past its own sidecar.

    It did where it left by the very port that its application had: a sidecar ends that
    connection, and makes another one.
    """
    pod, port = case.pods(seen)[0], seen.record.local_port
    own = f"{pod.ip}:{port}" if pod and port else None
    unlogged = seen.client_line is None and pod is not None and pod.sidecar
    return unlogged and own is not None and seen.wire.packets.client == own


def past_server(case: Case, seen: Observation) -> bool:
    """Return whether an application answered past its own sidecar.

    It did where it answered, and nothing that would have come from its sidecar is on its
    loopback. A log without a line proves nothing by itself: a line can be lost, and some refusals
    have none.
    """
    pod = case.pods(seen)[1]
    if seen.server_line is not None or pod is None or not pod.sidecar:
        return False
    answered = seen.app_line is not None or seen.wire.packets.marker_in_server
    if not answered or seen.record.outcome != "answered":
        return False
    hop = case.hop_evidence(seen)
    capture = hop.capture(seen.call.to, "lo")
    if capture is None or on_loopback(capture, hop.marker) is not False:
        return False
    query = ConnectionQuery(FROM_SIDECAR, ((pod.ip, hop.route.target),), window=hop.window)
    inside = wire.read(query, capture, None, hop.marker)
    return inside.security == "none" and not inside.packets.found


def waits(case: Case, seen: Observation) -> str:
    """Say whose proxy waits for first bytes: it took a connection, and nothing came of it.

    Nothing where a byte was answered, or where the captures cannot say.
    """
    if seen.record.outcome == "answered" or seen.client_line or seen.server_line:
        return ""
    client, server = case.pods(seen)
    if seen.wire.security != "none" or client is None or server is None:
        return ""
    if not seen.wire.packets.found:
        inside = _from_application(case, seen).connection if client.sidecar else None
        if inside is None or inside.sent("server"):
            return ""
        sent = len(inside.sent("client"))
        return f"the client's proxy took the connection and {sent} bytes, and opened none itself"
    if server.sidecar and seen.app_line is None and not _reached_application(case, seen, server):
        return "the server's proxy took the connection without a byte, and its application got none"
    return ""


def _reached_application(case: Case, seen: Observation, server: PodRecord) -> bool:
    """Return whether a server's proxy called its application meanwhile; true if it is not known."""
    hop = case.hop_evidence(seen)
    capture = hop.capture(seen.call.to, "lo")
    query = ConnectionQuery(FROM_SIDECAR, ((server.ip, hop.route.target),), window=hop.window)
    return capture is None or not _is_not_there(query, capture)


def _query_to_application(case: Case, seen: Observation) -> ConnectionQuery | None:
    """Return which connection the server's proxy made to its application; None: it names none."""
    address = str((seen.server_line or {}).get("upstream_local_address") or "")
    if not address:
        return None
    hop = case.hop_evidence(seen)
    return ConnectionQuery(
        client_ip=address.rpartition(":")[0],
        targets=((hop.server.ip, hop.route.target),),
        client_port=log.port_of(address),
        window=hop.window,
        older=hop.older,
    )


def _query_from_application(case: Case, seen: Observation) -> ConnectionQuery:
    """Return which connection the caller made, by its port, which its proxy's line names too."""
    logged = log.port_of((seen.client_line or {}).get("downstream_remote_address"))
    hop = case.hop_evidence(seen)
    port = seen.record.local_port or logged
    return ConnectionQuery(hop.client.ip, (REDIRECTED,), port, hop.window)


def _between_pods(case: Case, seen: Observation) -> Iterator[Tap]:
    """Yield the taps at both pods' eth0."""
    found = None
    for pod in (seen.call.source, seen.call.to):
        capture = case.hop_evidence(seen).capture(pod, "eth0")
        found = _found(seen.query, capture, found)
        yield Tap(pod, "eth0", capture, found, seen.wire)


def _from_application(case: Case, seen: Observation) -> Tap:
    """Return the tap between the calling application and its own sidecar."""
    pod, query = seen.call.source, _query_from_application(case, seen)
    capture = case.hop_evidence(seen).capture(pod, "lo")
    if pod == seen.call.to:
        said = handed_on(case, seen)
    elif capture is None:
        said = WireSeen("wire", wire.SOURCE, "unknown", f"the lo of {pod} was not captured")
    elif seen.record.local_port and _is_not_there(query, capture):
        why = f"port {query.client_port} of its application was not redirected to it"
        said = WireSeen("wire", wire.SOURCE, "none", why)
    else:
        said = wire.read(query, capture, None, seen.record.marker.encode())
    return Tap(pod, "lo", capture, _found(query, capture), said)


def _to_application(case: Case, seen: Observation) -> Tap:
    """Return the tap between the server's sidecar and its application."""
    capture = case.hop_evidence(seen).capture(seen.call.to, "lo")
    connection = _found(_query_to_application(case, seen), capture)
    return Tap(seen.call.to, "lo", capture, connection, handed_on(case, seen))


def _found(
    query: ConnectionQuery | None,
    capture: CaptureFile | None,
    at_client: Connection | None = None,
) -> Connection | None:
    """Return the connection that is meant; None where it is not there, or cannot be told."""
    if query is None or capture is None:
        return None
    try:
        return wire.find(query, capture, capture.path.name, at_client)
    except (wire.Unsure, BadEvidence):
        return None


def _is_not_there(query: ConnectionQuery, capture: CaptureFile) -> bool:
    """Return whether a sound capture lacks the connection of a port that its application named."""
    try:
        return wire.find(query, capture, capture.path.name) is None
    except (wire.Unsure, BadEvidence):
        return False
