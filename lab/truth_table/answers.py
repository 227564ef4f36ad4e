"""From what was recorded of a call to what became of it: who answered, and what crossed the wire.

Packets decide what crossed. The server's proxy decides *mutual*: it alone saw the client's
certificate. Who ended the call is told by the application's own record, then by the proxies' lines,
then by how far its bytes came. Bodies decide nothing: they differ between versions of Envoy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.envoy.way import CLIENT, GATEWAY, NODE, SERVER
from lab.planes import log
from lab.truth_table.axes import PAYLOADS
from lab.truth_table.crossed import first_leg, first_to_end, wire
from lab.truth_table.joined import Joined, join
from lab.truth_table.predictions import APPLICATION, Foretold
from lab.truth_table.recorded import HANGS, Call, Line, Recorded

FAILURES = frozenset(("NR", "UF", "UC", "UH", "URX", "UO"))
"""Response flags of a call that found no chain, no host, or no connection that held.
https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage"""
_STATUS = re.compile(r"HTTP/1\.[01] (\d{3})")
ALERT = "_ALERT_"
"""In what BoringSSL and OpenSSL call an alert that was received."""
GIVEN = {
    "http/1.0": "HTTP/1.0",
    "http/1.1": "HTTP/1.1",
    "h2": "HTTP/2",
    "mysql": "MySQL",
    "tls with mysql": "MySQL",
    "mongodb": "MongoDB",
    "redis": "Redis",
    "a datagram": "a datagram",
}
"""What the server calls it -> what the model calls it."""


@dataclass(frozen=True)
class Answer:
    """What became of one call."""

    outcome: str
    """arrives, answered by a proxy, refused, hangs or unknown."""
    by: str
    status: int
    """That the client was given; 0: none."""
    flag: str
    """Of the line of the proxy that ended it; empty where the call arrived."""
    detail: str
    given: str
    """What the application was given; empty: it was given nothing."""
    wire: str
    """none, plaintext, tls, mutual_tls, mixed or unknown: what was sent to the server's pod, or
    where nothing was, what its end sent."""
    first_leg: str
    """The same of what was sent to the gateway; empty where there is none."""
    attempts: int
    """Connections by which its proxy tried."""
    client: str
    """What the client got, in its protocol's own terms; or `broken off`, or `hangs`."""
    symptom: str
    """How its connection ended, as its own system told it: the same refusal is a reset, an end or
    a TLS error at random (RFC 8446, appendix E.5; curl's exit codes 16, 55 and 56)."""


def answer(recorded: Recorded, call: Call) -> Answer:
    """Return what became of a call."""
    found = join(recorded, call)
    return _of_datagram(found) if PAYLOADS[call.cell.sends].udp else _of_connection(found)


def _of_datagram(joined: Joined) -> Answer:
    given, marker = _given(joined), str(joined.told["marker"]).encode()
    kinds = {"plaintext" if marker in one.payload else "unknown" for one in joined.datagrams}
    unread = "refused" if joined.told["outcome"] == "refused" else "hangs"
    return Answer(
        outcome="arrives" if given else unread,
        by=APPLICATION if given else NODE,
        status=0,
        flag="",
        detail="",
        given=given,
        wire="mixed" if len(kinds) > 1 else next(iter(kinds), "none"),
        first_leg="",
        attempts=len(joined.datagrams),
        client=_in_its_terms(joined.told),
        symptom=str(joined.told["outcome"]),
    )


def _of_connection(joined: Joined) -> Answer:
    given = _given(joined)
    outcome, by, line = _ended(joined, given)
    line = line or {}
    details = [
        log.field_text(line, name)
        for name in (
            "response_code_details",
            "upstream_transport_failure_reason",
            "downstream_transport_failure_reason",
            "connection_termination_details",
        )
    ]
    attempts = (joined.sender_line or {}).get("upstream_request_attempt_count")
    return Answer(
        outcome,
        by,
        _status(joined.told) or (_code(line) if outcome == "answered by a proxy" else 0),
        "" if given else log.field_text(line, "response_flags"),
        "; ".join(filter(None, details)),
        given,
        wire(joined),
        first_leg(joined),
        attempts if isinstance(attempts, int) and attempts else min(1, len(joined.connections)),
        _in_its_terms(joined.told),
        f"{joined.told['outcome']} {joined.told['error']}".strip(),
    )


def _given(joined: Joined) -> str:
    """Return what the application was given, in the model's words; empty: nothing."""
    said = joined.application
    if said is None:
        return ""
    if said.get("greeted"):
        hello = str(said["first"]).startswith("16")
        return "TLS" if hello else "no bytes" if joined.told.get("greeting") else ""
    saw = str(said["saw"])
    if saw == "nothing":
        return ""
    return GIVEN.get(saw, "TLS" if saw.startswith("tls") else "bytes that are not HTTP")


def _ended(joined: Joined, given: str) -> tuple[str, str, Line | None]:
    """Return the outcome, who ended the call, and that proxy's line."""
    told, mine, theirs = joined.told, joined.sender_line, joined.server_line
    if given:
        return "arrives", APPLICATION, theirs or mine
    if told["outcome"] == HANGS:
        return *_hanging(joined), None
    line = theirs or mine
    if line is None and told["outcome"] == "answered":
        return "unknown", "", None  # of who answered, no witness was kept
    if line and line.get("response_code") and not _failed(theirs) and not _failed(mine):
        return "answered by a proxy", SERVER if theirs else _nearest(joined), line
    return "refused", _refusing(joined), theirs if _failed(theirs) else mine or theirs


def _hanging(joined: Joined) -> tuple[str, str]:
    """Return the outcome of a call without an answer, and who waits."""
    call, second = joined.call, joined.call.second
    if not call.waited or (second and not second.waited):
        return "unknown", ""  # it hung once and not again, or its SYN was not answered
    if joined.connections:
        return "hangs", SERVER if call.server.has_sidecar else APPLICATION
    if joined.unexplained:
        return "unknown", ""  # a connection that could be its own has left the pod
    return "hangs", _nearest(joined)


def _nearest(joined: Joined) -> str:
    """Return who is before the server's pod, as far as the call came."""
    if joined.to_gateway:
        return GATEWAY
    return CLIENT if joined.call.caller.has_sidecar else NODE


def _refusing(joined: Joined) -> str:
    """Return who refused a call, or broke it off."""
    sender, server = joined.sender, joined.call.server
    mine, theirs = joined.sender_line or {}, joined.server_line or {}
    here = _nearest(joined)
    there = SERVER if server.has_sidecar else NODE
    if not joined.connections or _at_gateway(joined):
        return here
    if "NR" in str(theirs.get("response_flags")):
        return there
    for line, field, own, other in (
        (mine, "upstream_transport_failure_reason", here, there),
        (theirs, "downstream_transport_failure_reason", there, here),
    ):
        if why := log.field_text(line, field):
            return other if ALERT in why else own  # an alert comes from the other end
    if ALERT in str(joined.told["error"]) or not sender.has_sidecar or _failed(theirs):
        return there
    return there if first_to_end(joined.connections[-1]) == "server" else here


def _at_gateway(joined: Joined) -> bool:
    """Return whether the client's own TLS failed, which ends at the gateway."""
    if joined.call.gateway is None:
        return False
    failed = log.field_text(joined.gateway_line or {}, "downstream_transport_failure_reason")
    return bool(failed) or ALERT in str(joined.told["error"])


def _failed(line: Line | None) -> bool:
    """Return whether a proxy's line tells of a connection that was refused or broken."""
    return not FAILURES.isdisjoint(str((line or {}).get("response_flags")).split(","))


def _code(line: Line) -> int:
    code = line.get("response_code")
    return code if isinstance(code, int) else 0


def _status(told: Mapping[str, Any]) -> int:
    found = _STATUS.match(str(told.get("answer", "")))
    return int(found[1]) if found else int(told["status"])


def _in_its_terms(told: Mapping[str, Any]) -> str:
    if "terms" in told:  # of a database's driver
        return f"{told['terms']}, hangs" if told["outcome"] == "hangs" else str(told["terms"])
    if told["outcome"] == "answered":
        if told["sends"] == "grpc":
            return f"status {told['status']}, gRPC {told['grpc_status'] or 'without a code'}"
        return f"status {_status(told)}" if _status(told) else "answered"
    if _status(told):
        return f"status {_status(told)}"
    return "hangs" if told["outcome"] == "hangs" else "broken off"


def agree(foretold: Sequence[Foretold], measured: Answer) -> bool:
    """Return whether one of the ways that were foretold is what was measured."""
    return any(_matches(one, measured) for one in foretold)


def _matches(one: Foretold, measured: Answer) -> bool:
    return (
        (one.outcome, one.by, one.first_leg) == (measured.outcome, measured.by, measured.first_leg)
        and _crossed_alike(one, measured)
        and one.status in (0, measured.status)
        and (one.outcome != "arrives" or one.detail == measured.given)
    )


def _crossed_alike(one: Foretold, measured: Answer) -> bool:
    """Return whether what crossed to the server is what was foretold.

    A proxy that has read no request writes no line of a connection: that its TLS was mutual, nobody
    says then.
    """
    without_line = measured.by in (GATEWAY, SERVER) and measured.outcome in ("hangs", "refused")
    if without_line and (one.wire, measured.wire) == ("mutual_tls", "tls"):
        return True
    return one.wire == measured.wire
