"""What crossed the network: packets tell plaintext or TLS, and the receiving proxy tells *mutual*.

It alone saw the client's certificate.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.packets import tls
from lab.packets.pcap import FIN, RST, Connection
from lab.planes import log
from lab.truth_table.axes import PAYLOADS
from lab.truth_table.joined import Joined
from lab.truth_table.recorded import Line

ALERT_RECORD = b"\x17\x03\x03\x00\x13"
"""Header of an encrypted record that holds two bytes, their type, and a tag."""


def wire(joined: Joined) -> str:
    """Return what crossed on the way to the server: of several attempts, what all of them say."""
    begins_tls = PAYLOADS[joined.call.cell.sends].begins_tls
    return _told(joined.connections, joined.server_line, begins_tls)


def first_leg(joined: Joined) -> str:
    """Return what crossed on the way to the gateway; empty where there is none."""
    return _told(joined.to_gateway, joined.gateway_line) if joined.call.gateway else ""


def _told(connections: Sequence[Connection], line: Line | None, begins_tls: bool = False) -> str:
    """Return what crossed in connections; line: of the proxy that they came to."""
    found = {_crossed(one, begins_tls) for one in connections}
    if len(found) != 1:
        return "mixed" if found else "none"
    crossed = next(iter(found))
    if crossed == "tls" and line is not None and log.both_named(line):
        return "mutual_tls"
    return crossed


def _crossed(connection: Connection, begins_tls: bool) -> str:
    if not connection.syn_seen:
        return "unknown"
    data = connection.sent("client") or connection.sent("server")
    if not data:
        return "none"
    kind = _kind(data)
    return "mixed" if begins_tls and kind == "plaintext" and _begins_tls(data) else kind


def _begins_tls(data: bytes) -> bool:
    """Return whether TLS follows MySQL's request for it, which is its client's first packet.

    https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
    """
    return _kind(data[4 + int.from_bytes(data[:3], "little") :]) == "tls"


def _kind(data: bytes) -> str:
    """Return `tls` for whole TLS records, `plaintext`, or `unknown` where a record is cut."""
    read = tls.records(data)
    if read.whole:
        return "tls"
    return "unknown" if read.cut and read.records else "plaintext"


def first_to_end(connection: Connection) -> str:
    """Return which side ended a connection first; empty where it stayed open.

    An alert ends it too; where it is encrypted, its record's length tells it (RFC 8446, 5.2).
    """
    ending = (
        one
        for one in connection.segments
        if one.flags & (FIN | RST) or one.payload[-len(ALERT_RECORD) - 19 : -19] == ALERT_RECORD
    )
    return next((connection.side_of(one) for one in ending), "")
