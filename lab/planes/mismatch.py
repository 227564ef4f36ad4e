"""Tells whether two proxies' log lines and a captured connection are of one call."""

from __future__ import annotations

import datetime

from lab.planes import Security
from lab.planes.log import Line, both_named, field_text, untraced
from lab.planes.wire import WireSeen


def find_mismatch(
    wire: WireSeen,
    client: Line | None,
    server: Line | None,
    request_id: str,
    during: tuple[float, float],
    counted: Security = "unknown",
) -> str:
    """Return why two log lines and a captured connection are not of one call, or nothing.

    request_id: the one that the call was sent with, if any. during: Unix seconds between which it
    was made. counted: what the answering proxy's counters say of it.
    """
    return (
        _of_other_ports(wire, client or {}, server or {})
        or _of_other_security(wire, client or {}, server or {}, counted)
        or _of_another_request(client or {}, server or {}, request_id)
        or _of_another_time(client, server, during)
    )


def _of_other_ports(wire: WireSeen, client: Line, server: Line) -> str:
    left, came = (
        field_text(client, "upstream_local_address"),
        field_text(server, "downstream_remote_address"),
    )
    crossed = wire.packets.client
    arrived = wire.packets.client_at_server or crossed
    if left and came and left != came and (left, came) != (crossed, arrived):
        return f"the two proxies' lines are of two connections: {left} and {came}"
    for whose, address, seen in (("server's", came, arrived), ("client's", left, crossed)):
        if seen and address and seen != address:
            return f"the {whose} line is of {address}, and the captured connection of {seen}"
    if came and wire.security == "none":
        return f"the server's line tells of {came}, and no such connection was captured"
    return ""


def _of_other_security(wire: WireSeen, client: Line, server: Line, counted: Security) -> str:
    if not both_named(server):
        return ""
    if wire.security in ("plaintext", "mixed"):
        return f"the server's line tells of mutual TLS, and the packets of {wire.security}"
    if counted in ("plaintext", "tls"):
        return f"the server's line tells of mutual TLS, and its counters of {counted}"
    by_cluster = field_text(client, "upstream_cluster").startswith("outbound|")
    if by_cluster and not field_text(client, "upstream_tls_version"):
        return "the server's line tells of mutual TLS, and the client's of none"
    return ""


def _of_another_request(client: Line, server: Line, request_id: str) -> str:
    """Return that a line is of another request: those that share a connection have one each."""
    for whose, line in (("client's", client), ("server's", server)):
        logged = field_text(line, "request_id")
        if logged and request_id and untraced(logged) != untraced(request_id):
            return f"the {whose} line is of request {logged}, and the call was {request_id}"
    return ""


def _of_another_time(client: Line | None, server: Line | None, during: tuple[float, float]) -> str:
    for whose, line in (("client's", client), ("server's", server)):
        if line is not None and not _within(line, during):
            return f"the {whose} line began at {line.get('start_time')}, and the call did not"
    return ""


SLACK = 1.0
"""Seconds by which two nodes' clocks may differ. Ports decide first: this is for one used again."""


def _within(line: Line, during: tuple[float, float]) -> bool:
    try:
        at = datetime.datetime.fromisoformat(str(line.get("start_time"))).timestamp()
    except (ValueError, OverflowError):
        return False
    return during[0] - SLACK <= at <= during[1] + SLACK
