"""The truth table in words: as matrices, one cell with its reasons, and differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.envoy.mesh import address_text
from lab.packets.pcap import Connection
from lab.predict.text import way_text
from lab.render.display import Table
from lab.truth_table import answers, predictions, stored_mesh
from lab.truth_table.axes import PAYLOADS, PORT_NAMES
from lab.truth_table.cells import DEFAULTS
from lab.truth_table.joined import Joined
from lab.truth_table.recorded import Call, Recorded
from lab.truth_table.results import SAME

Stored = Mapping[str, str]
"""A row as the CSV has it."""
WIRE = {
    "mutual_tls": "mTLS",
    "tls": "TLS",
    "plaintext": "plain",
    "mixed": "mixed",
    "none": "",
    "": "",
    "unknown": "?",
}
ENDS = {
    "answered by a proxy": "{status}",
    "refused": "refused",
    "hangs": "hangs",
    "unknown": "?",
}
LEGEND = (
    "mTLS, TLS, plain: the call is answered, and that is what crosses the network. A number: it is "
    "answered with that status. refused, hangs, broken: it is not answered. no gRPC: the answer is "
    "HTTP, not gRPC. Behind these stands how its bytes crossed, if they did. Before a >: how they "
    "crossed to the gateway."
)


def short(row: Stored) -> str:
    """Return a cell's answer in a few words."""
    before = WIRE[row["first_leg"]]
    return f"{before} > {_ending(row)}" if before else _ending(row)


def _ending(row: Stored) -> str:
    crossed = WIRE[row["wire"]]
    if row["outcome"] == "arrives":
        return f"{_without(row['client'])} {crossed}".strip()
    ends = ENDS[row["outcome"]].format(**row)
    return f"{ends} {crossed}".strip()


def _without(client: str) -> str:
    """Return what the client lacks of an answer, though its call arrived; empty: nothing."""
    if client == "broken off":
        return "broken"
    if "without a code" in client:
        return "no gRPC"
    status = client.removeprefix("status ").partition(",")[0]
    return status if status.startswith("5") else ""


def matrix(rows: Mapping[str, Stored], fixed: Mapping[str, str]) -> Table:
    """Return what is sent by what the port is called, with all other axes fixed."""
    wanted = {**DEFAULTS, "policy": "permissive", "caller": "sidecar", **fixed}
    kept = [
        row for row in rows.values() if all(row[axis] == value for axis, value in wanted.items())
    ]
    found = {(row["sends"], row["port_name"]): short(row) for row in kept}
    sends = [one for one in PAYLOADS if any(key[0] == one for key in found)]
    names = [one for one in PORT_NAMES if any(key[1] == one for key in found)]
    body = tuple((name, *(found.get((one, name), "-") for one in sends)) for name in names)
    shown = ", ".join(f"{axis} {value}" for axis, value in wanted.items() if axis not in DEFAULTS)
    left = ", ".join(f"{axis} {value}" for axis, value in fixed.items() if axis in DEFAULTS)
    title = f"{shown}{'; ' if left else ''}{left}: port name by what is sent"
    return Table(title, ("", *sends), body, LEGEND)


def listing(rows: Sequence[Stored]) -> Table:
    """Return a line for each cell."""
    body = tuple(
        (row["cell"], f"{row['outcome']}, {row['by']}", row["wire"], row["client"]) for row in rows
    )
    return Table("", ("cell", "what becomes of it", "on the wire", "for the client"), body)


def why(recorded: Recorded, call: Call) -> str:
    """Return a cell's answer with what decided it, and the walk that foretold it."""
    joined, found = Joined(recorded, call), answers.answer(recorded, call)
    mesh = stored_mesh.read(recorded)
    ways = predictions.ways(mesh, call.asked, call.caller.ip)
    before = f"to the gateway: {found.first_leg}; " if found.first_leg else ""
    agrees = answers.agree(recorded.foretold[call.cell.key], found)
    lines = [
        f"{call.cell.key}",
        f"  {call.caller.name} sends {call.cell.sends} to {call.asked.host} "
        f"({address_text((call.asked.address, call.asked.port))})",
        "",
        "Measured",
        f"  {found.outcome}, by {found.by}; {before}on the wire: {found.wire}; for the client: "
        f"{found.client}",
        *(f"  {name}: {text}" for name, text in _witnesses(joined) if text),
        "",
        f"Foretold by the proxies' configuration ({'agrees' if agrees else 'DIFFERS'})",
        *(f"  {line}" for way in ways for line in way_text(way).splitlines()),
    ]
    return "\n".join(lines)


def _witnesses(joined: Joined) -> list[tuple[str, str]]:
    gateway, said = joined.call.gateway, joined.application or {}
    to_gateway = [
        ("packets to the gateway, at the caller's eth0", _packets(joined.to_gateway)),
        ("gateway", _line(joined.gateway_line)),
    ]
    return [
        ("client's proxy", _line(joined.client_line)),
        *(to_gateway if gateway else ()),
        (
            f"packets at the {'gateway' if gateway else 'caller'}'s eth0",
            _packets(joined.connections),
        ),
        ("server's proxy", _line(joined.server_line)),
        ("application", f"saw {said['saw']} from {said['peer']}" if said else "saw nothing"),
    ]


def _packets(connections: Sequence[Connection]) -> str:
    told = [
        f"{address_text(one.client)} > {address_text(one.server)}, {len(one.segments)} packets, "
        f"{len(one.sent('client'))} and {len(one.sent('server'))} bytes, {one.ended_by}"
        for one in connections
    ]
    return "; ".join(told) or "no connection"


_SHOWN = (
    "response_code",
    "response_flags",
    "response_code_details",
    "connection_termination_details",
    "upstream_cluster",
    "upstream_transport_failure_reason",
    "downstream_transport_failure_reason",
    "downstream_peer_uri_san",
)


def _line(line: Mapping[str, object] | None) -> str:
    if line is None:
        return "no line"
    shown = [f"{name} {line[name]}" for name in _SHOWN if line.get(name) not in (None, "", "-", 0)]
    return "; ".join(shown) or "a line without a flag"


def differences(found: Mapping[str, Sequence[tuple[str, ...]]], names: Sequence[str]) -> Table:
    """Return each cell that differs, and what differs in it."""
    rows = []
    for cell, each in found.items():
        for position, field in enumerate(SAME):
            values = [one[position] or "-" for one in each]
            if len({*values}) > 1:
                rows.append((cell, field, *values))
    return Table("", ("cell", "what", *names), tuple(rows))
