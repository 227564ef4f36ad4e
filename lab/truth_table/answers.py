"""From what was recorded of a call to what became of it: who answered, and what crossed the wire.

Packets decide what crossed. The server's proxy decides *mutual*: it alone saw the client's
certificate. Who ended the call is told by the application's own record, then by the proxies' lines,
then by how far its bytes came. Bodies decide nothing: they differ between versions of Envoy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lab.envoy.mesh import address_text
from lab.envoy.way import CLIENT, NODE, SERVER
from lab.packets import tls
from lab.packets.pcap import FIN, RST, Connection
from lab.planes import log
from lab.truth_table.predictions import APPLICATION, Foretold
from lab.truth_table.recorded import HANGS, Call, Line, Recorded

FAILURES = frozenset(("NR", "UF", "UC", "UH", "URX", "UO"))
"""Response flags of a call that found no chain, no host, or no connection that held.
https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage"""
_STATUS = re.compile(r"HTTP/1\.[01] (\d{3})")
ALERT = "_ALERT_"
"""In what BoringSSL and OpenSSL call an alert that was received."""
RENAMED_WITHIN = 0.1
"""Seconds between a connection's SYN and the time of its line."""
ALERT_RECORD = b"\x17\x03\x03\x00\x13"
"""Header of an encrypted record that holds two bytes, their type, and a tag."""
GIVEN = {"http/1.0": "HTTP/1.0", "http/1.1": "HTTP/1.1", "h2": "HTTP/2"}
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
    """none, plaintext, tls, mutual_tls, mixed or unknown: what the client's end sent, or where it
    sent nothing, the server's."""
    attempts: int
    """Connections by which its proxy tried."""
    client: str
    """What the client got, in its protocol's own terms; or `broken off`, or `hangs`."""
    symptom: str
    """How its connection ended, as its own system told it: the same refusal is a reset, an end or
    a TLS error at random (RFC 8446, appendix E.5; curl's exit codes 16, 55 and 56)."""


@dataclass
class Joined:
    """One call with all that was recorded of it."""

    recorded: Recorded
    call: Call

    @property
    def told(self) -> Mapping[str, Any]:
        return self.call.told

    @cached_property
    def client_line(self) -> Line | None:
        """Return the line of the caller's proxy."""
        if not self.call.caller.has_sidecar:
            return None
        found = self.recorded.lines(self.call.caller, "downstream_remote_address")
        return _last(found.get(self.call.source, []))

    @cached_property
    def connections(self) -> list[Connection]:
        """Return the connections by which the call left its pod, or was tried to."""
        there = self.recorded.connections(self.call.caller)
        if not self.call.caller.has_sidecar:
            return there.get(self.call.source, [])[-1:]
        line = self.client_line or {}
        to = log.field_text(line, "upstream_host")
        own = there.get(log.field_text(line, "upstream_local_address"), [])
        # A proxy's ports come from the kernel, which gives one again for another destination.
        found = [
            one for one in own if address_text(one.server) == to and one.began < self.call.ended
        ]
        return found[-1:] or [one for one in self._unclaimed if address_text(one.server) == to]

    @property
    def _unclaimed(self) -> list[Connection]:
        """Return connections of the caller's proxy in the time of the call that no line names."""
        there = self.recorded.connections(self.call.caller)
        named = self.recorded.claimed(self.call.caller)
        first, last = float(self.told["started"]) - 0.05, self.call.ended + 0.05
        return [
            one
            for address, each in there.items()
            for one in each
            if (address, address_text(one.server)) not in named and first <= one.began <= last
        ]

    @property
    def unexplained(self) -> list[Connection]:
        """Return connections that went where the call goes, and that no line names."""
        asked = self.call.asked
        there = {(asked.address, asked.port), (self.call.server.ip, asked.target)}
        return [one for one in self._unclaimed if one.server in there]

    @property
    def arrived_from(self) -> list[str]:
        """Return the client's address of each connection, as the server's pod has it.

        A node's conntrack gives a connection another source port where it remembers one of the same
        addresses. The sequence number of its SYN stays (lab/planes/wire.py has the same).
        """
        there = self.recorded.by_first_number(self.call.server)
        starts = [one.halves["client"].start for one in self.connections]
        arrived = [there.get(start) if start is not None else None for start in starts]
        return [
            address_text((at_server or at_client).client)
            for at_client, at_server in zip(self.connections, arrived, strict=True)
        ]

    @cached_property
    def server_line(self) -> Line | None:
        """Return the line of the server's proxy."""
        if not self.call.server.has_sidecar or not self.connections:
            return None
        here = f"{self.call.server.ip}:{self.call.asked.target}"
        there = self.recorded.lines(self.call.server, "downstream_local_address").get(here, [])
        from_ = self.arrived_from[-1]
        found = [one for one in there if one.get("downstream_remote_address") == from_]
        by_id = [
            (log.untraced(one.get("request_id")), one)
            for one in found or self._renamed(there, here)
        ]
        wanted, every = log.untraced(self.told["request_id"]), self.recorded.request_ids
        ours = [one for one in there if log.untraced(one.get("request_id")) == wanted]
        # A connection of a pool has lines of other calls' requests.
        return _last(ours or [one for name, one in by_id if name not in every])

    def _renamed(self, there: Sequence[Line], here: str) -> list[Line]:
        """Return the one line of a connection that had another port behind the pod's own firewall.

        What comes to a pod is redirected to one port. A proxy that calls two ports of a pod from
        the same port of its own, one soon after the other, gets another port for the second. Such
        a line names an address that is in no packet; it began when the connection did.
        """
        captured = self.recorded.connections(self.call.server)
        began = self.connections[-1].began
        found = [
            one
            for one in there
            if -0.01 <= (log.began(one) or 0.0) - began <= RENAMED_WITHIN
            and not any(
                address_text(c.server) == here
                for c in captured.get(log.field_text(one, "downstream_remote_address"), [])
            )
        ]
        return found if len(found) == 1 else []

    @cached_property
    def application(self) -> Line | None:
        """Return what the application said of the call's connection."""
        marked = self.recorded.marked(self.call.server).get(str(self.told["marker"]), [])
        peers = {log.field_text(self.server_line or {}, "upstream_local_address")}
        if not self.call.server.has_sidecar or self.call.cell.server == "excluded":
            peers |= {*self.arrived_from}
        port = self.call.asked.target
        said = [] if marked else self.recorded.said(self.call.server)
        known = (one for one in said if one["peer"] in peers - {""} and one["port"] == port)
        return marked[0] if marked else next(known, None)


def _last(lines: Sequence[Line]) -> Line | None:
    return lines[-1] if lines else None


def answer(recorded: Recorded, call: Call) -> Answer:
    """Return what became of a call."""
    joined = Joined(recorded, call)
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
    attempts = (joined.client_line or {}).get("upstream_request_attempt_count")
    return Answer(
        outcome,
        by,
        _status(joined.told) or (_code(line) if outcome == "answered by a proxy" else 0),
        "" if given else log.field_text(line, "response_flags"),
        "; ".join(filter(None, details)),
        given,
        wire(joined),
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
    return "TLS" if saw.startswith("tls") else GIVEN.get(saw, "bytes that are not HTTP")


def _ended(joined: Joined, given: str) -> tuple[str, str, Line | None]:
    """Return the outcome, who ended the call, and that proxy's line."""
    told, mine, theirs = joined.told, joined.client_line, joined.server_line
    if given:
        return "arrives", APPLICATION, theirs or mine
    if told["outcome"] == HANGS:
        return *_hanging(joined), None
    line = theirs or mine
    if line and line.get("response_code") and not _failed(theirs) and not _failed(mine):
        return "answered by a proxy", SERVER if theirs else CLIENT, line
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
    return "hangs", CLIENT if call.caller.has_sidecar else NODE


def _refusing(joined: Joined) -> str:
    """Return who refused a call, or broke it off."""
    caller, server = joined.call.caller, joined.call.server
    mine, theirs = joined.client_line or {}, joined.server_line or {}
    here = CLIENT if caller.has_sidecar else NODE
    there = SERVER if server.has_sidecar else NODE
    if not joined.connections:
        return here
    if "NR" in str(theirs.get("response_flags")):
        return there
    for line, field, own, other in (
        (mine, "upstream_transport_failure_reason", here, there),
        (theirs, "downstream_transport_failure_reason", there, here),
    ):
        if why := log.field_text(line, field):
            return other if ALERT in why else own  # an alert comes from the other end
    if ALERT in str(joined.told["error"]) or not caller.has_sidecar or _failed(theirs):
        return there
    return there if _first_to_end(joined.connections[-1]) == "server" else here


def _failed(line: Line | None) -> bool:
    """Return whether a proxy's line tells of a connection that was refused or broken."""
    return not FAILURES.isdisjoint(str((line or {}).get("response_flags")).split(","))


def _first_to_end(connection: Connection) -> str:
    """Return which side ended a connection first; empty where it stayed open.

    An alert ends it too; where it is encrypted, its record's length tells it (RFC 8446, 5.2).
    """
    ending = (
        one
        for one in connection.segments
        if one.flags & (FIN | RST) or one.payload[-len(ALERT_RECORD) - 19 : -19] == ALERT_RECORD
    )
    return next((connection.side_of(one) for one in ending), "")


def _code(line: Line) -> int:
    code = line.get("response_code")
    return code if isinstance(code, int) else 0


def _status(told: Mapping[str, Any]) -> int:
    found = _STATUS.match(str(told.get("answer", "")))
    return int(found[1]) if found else int(told["status"])


def _in_its_terms(told: Mapping[str, Any]) -> str:
    if told["outcome"] == "answered":
        if told["sends"] == "grpc":
            return f"status {told['status']}, gRPC {told['grpc_status'] or 'without a code'}"
        return f"status {_status(told)}" if _status(told) else "answered"
    if _status(told):
        return f"status {_status(told)}"
    return "hangs" if told["outcome"] == "hangs" else "broken off"


def wire(joined: Joined) -> str:
    """Return what crossed between the pods: of several attempts, what all of them say."""
    found = {_crossed(one) for one in joined.connections}
    if len(found) != 1:
        return "mixed" if found else "none"
    crossed = next(iter(found))
    line = joined.server_line
    if crossed == "tls" and line is not None and log.both_named(line):
        return "mutual_tls"
    return crossed


def _crossed(connection: Connection) -> str:
    if not connection.syn_seen:
        return "unknown"
    data = connection.sent("client") or connection.sent("server")
    return _kind(data) if data else "none"


def _kind(data: bytes) -> str:
    """Return `tls` for whole TLS records, `plaintext`, or `unknown` where a record is cut."""
    read = tls.records(data)
    if read.whole:
        return "tls"
    return "unknown" if read.cut and read.records else "plaintext"


def agree(foretold: Sequence[Foretold], measured: Answer) -> bool:
    """Return whether one of the ways that were foretold is what was measured."""
    return any(_matches(one, measured) for one in foretold)


def _matches(one: Foretold, measured: Answer) -> bool:
    return (
        (one.outcome, one.by, one.wire) == (measured.outcome, measured.by, measured.wire)
        and one.status in (0, measured.status)
        and (one.outcome != "arrives" or one.detail == measured.given)
    )
