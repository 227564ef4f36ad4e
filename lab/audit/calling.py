"""The command that makes the call of an edge, and whether it ended as the edge was walked."""

from __future__ import annotations

from lab.audit import seen
from lab.audit.edges import Edge
from lab.envoy.way import GATEWAY
from lab.model.evidence import CallRecord

SECONDS = 5
"""After which a call of bash hangs."""
_HUNG = (28, 124)
"""How curl, and timeout, say that they waited in vain."""
_BY_PROXIES = (400, 403, 426)
"""Statuses below 500 with which a proxy answers in an application's place."""
_TYPED = {
    "http1.1": "curl -sS http://{host}:{port}/",
    "h2": "curl -sS --http2-prior-knowledge http://{host}:{port}/",
    "grpc": "curl -sS --http2-prior-knowledge -X POST -H 'content-type: application/grpc' "
    "http://{host}:{port}/",
    "tls": "curl -sS -k https://{host}:{port}/",
    "line": "timeout {seconds} bash -c 'exec 3<>/dev/tcp/{host}/{port}; echo {{marker}} >&3; "
    "head -n1 <&3 | grep .'",
    "nothing": "timeout {seconds} bash -c 'exec 3<>/dev/tcp/{host}/{port}; head -n1 <&3 | grep .'",
}
"""What a client sends -> a command that sends it; bash alone fails where nothing comes back."""


def command(edge: Edge) -> str:
    """Return the command that an edge's caller would type; empty: no pod's call can show it.

    Of a call by way of a gateway only what crosses to the gateway is recorded.
    """
    through_gateway = bool(edge.way.earlier) or edge.way.by == GATEWAY
    if through_gateway or edge.to.kind in ("other", "probe") or edge.sends not in _TYPED:
        return ""
    host = edge.to.host.removesuffix(".svc.cluster.local")
    return _TYPED[edge.sends].format(host=host, port=edge.to.port, seconds=SECONDS)


def turn(edge: Edge) -> int:
    """Return which edges are called first: those of the programs that say most of an answer."""
    return [*_TYPED].index(edge.sends)


def ended(edge: Edge, record: CallRecord) -> bool:
    """Return whether a call ended as its edge was walked."""
    answered = record.outcome == "answered" and record.status < 500
    match edge.way.outcome:
        case "arrives" if seen.gives_tls(edge):
            return not answered  # an application has no use for the mesh's
        case "arrives":
            return answered and record.status not in _BY_PROXIES
        case "refused":
            return not answered and record.code not in _HUNG
        case "hangs":
            return record.code in _HUNG
        case "unknown":
            return True
        case "answered by a proxy" | "redirected":
            by_line = record.status == 0 and record.outcome == "answered"
            return by_line or record.status == edge.way.status
