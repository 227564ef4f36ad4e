"""The truth table in words: as matrices, one cell with its reasons, and differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.envoy.mesh import Mesh, address_text
from lab.packets.pcap import Connection
from lab.planes import log
from lab.predict.text import way_text
from lab.render.display import Table
from lab.truth_table import answers, crossed, predictions, stored_mesh
from lab.truth_table.answers import Answer
from lab.truth_table.axes import MODES, PAYLOADS, PORT_NAMES
from lab.truth_table.cells import DEFAULTS, Cell
from lab.truth_table.joined import Joined, join, opened
from lab.truth_table.recorded import Call, Line, Pod, Recorded
from lab.truth_table.results import SAME
from lab.truth_table.waits import Waits

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
    "HTTP, not gRPC. mixed: plaintext, then TLS. Behind these stands how its bytes crossed, if "
    "they did. Before a >: how they crossed to the gateway."
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
    if client == "broken off" or "Error" in client:
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
    waits, joined = Waits(recorded), join(recorded, call)
    found = waits.checked(call, answers.answer(recorded, call))
    before = f"to the gateway: {found.first_leg}; " if found.first_leg else ""
    agrees = answers.agree(recorded.foretold[call.cell.key], found)
    witnesses = [*_witnesses(joined), ("gauges", str(waits.of(call) or ""))]
    lines = [
        *_asked(call),
        "",
        "Measured",
        f"  {_ended(found)}; {before}on the wire: {found.wire}; for the client: {found.client}",
        *(f"  {name}: {text}" for name, text in witnesses if text),
        *_looked(joined),
        "",
        f"Foretold by the proxies' configuration ({'agrees' if agrees else 'DIFFERS'})",
        *_walked(stored_mesh.read(recorded), call),
    ]
    return "\n".join(lines)


def foretold(recorded: Recorded, mesh: Mesh, call: Call) -> tuple[str, bool]:
    """Return what the model foretells of a cell, with the walk; and whether it knows the end.

    mesh: of the same recordings (stored_mesh.py). No call is looked at.
    """
    ways = predictions.ways(mesh, call.asked, call.caller.ip)
    lines = [*_asked(call), "", *_walked(mesh, call)]
    before = recorded.foretold[call.cell.key]
    if [predictions.of_way(way) for way in ways] != before:
        ends = ", or ".join(f"{one.outcome}, by {one.by or 'nobody'}" for one in before)
        lines += ["", f"  Before the call, the model as it was then foretold: {ends}."]
    return "\n".join(lines), all(way.outcome != "unknown" for way in ways)


def _asked(call: Call) -> list[str]:
    """Say in words what a cell is, and which call was made for it."""
    cell, asked = call.cell, call.asked
    named = PORT_NAMES[cell.port_name]
    port = f"named {named.name!r}" if named.name else "without a name"
    port += f" with appProtocol {named.app_protocol}" if named.app_protocol else ""
    left = [f"{axis} {getattr(cell, axis)}" for axis in DEFAULTS if _departs(cell, axis)]
    return [
        cell.key,
        f"  {PAYLOADS[cell.sends].about}; a port {port}; policy {MODES[cell.policy]}; a caller "
        f"{'with' if cell.caller == 'sidecar' else 'without'} a sidecar"
        f"{'; ' if left else ''}{', '.join(left)}",
        f"  {call.caller.name} ({call.caller.ip}) calls {asked.host} "
        f"({address_text((asked.address, asked.port))})",
        f"  meant for {call.server.name} ({address_text((call.server.ip, asked.target))})",
    ]


def _departs(cell: Cell, axis: str) -> bool:
    return bool(getattr(cell, axis) != DEFAULTS[axis])


def _ended(found: Answer) -> str:
    return {
        "arrives": "arrives at the application",
        "hangs": f"hangs in the {found.by}",
        "unknown": f"unknown {found.detail}".strip(),
    }.get(found.outcome, f"{found.outcome} ({found.by})")


def _walked(mesh: Mesh, call: Call) -> list[str]:
    ways = predictions.ways(mesh, call.asked, call.caller.ip)
    lines = []
    for number, way in enumerate(ways, 1):
        lines += [f"way {number} of {len(ways)}, {way.share:.0%} of the calls"] * (len(ways) > 1)
        lines += way_text(way).splitlines()
    return [f"  {line}".rstrip() for line in lines]


def _witnesses(joined: Joined) -> list[tuple[str, str]]:
    call, said = joined.call, joined.application or {}
    gateway = call.gateway
    to_gateway = [
        ("packets to the gateway, at the caller's eth0", _packets(joined.to_gateway)),
        ("gateway", _line(joined.gateway_line)),
    ]
    return [
        ("client's proxy", _said(call.caller, joined.client_line)),
        *(to_gateway if gateway else ()),
        (
            f"packets at the {'gateway' if gateway else 'caller'}'s eth0",
            _datagrams(joined) or _packets(joined.connections),
        ),
        ("server's proxy", _said(call.server, joined.server_line)),
        ("application", f"given {said['saw']}, by {said['peer']}" if said else "given nothing"),
    ]


def _datagrams(joined: Joined) -> str:
    return "; ".join(
        f"{address_text(one.source)} > {address_text(one.target)}, a datagram of "
        f"{len(one.payload)} bytes"
        for one in joined.datagrams
    )


def _looked(joined: Joined) -> list[str]:
    """Return what crossed on the connections by which a driver looked whether there is a server."""
    every = opened(joined.recorded, joined.call)
    others = [crossed.wire(one) for one in every if one.call.source != joined.call.source]
    return [f"  the driver's other connections: {', '.join(others)}"] if others else []


def _packets(connections: Sequence[Connection]) -> str:
    told = [
        f"{address_text(one.client)} > {address_text(one.server)}, {len(one.segments)} packets, "
        f"{len(one.sent('client'))} and {len(one.sent('server'))} bytes, {one.ended_by}"
        for one in connections
    ]
    return "; ".join(told) or "no connection left the pod"


def _said(pod: Pod, line: Line | None) -> str:
    return _line(line) if pod.has_sidecar else "there is none"


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


def _line(line: Line | None) -> str:
    if line is None:
        return (
            "no line in its access log: it writes none of a connection of which it read no request"
        )
    shown = [_field(line, name) for name in _SHOWN if line.get(name) not in (None, "", "-", 0)]
    return "; ".join(shown) or "a line without a flag"


def _field(line: Line, name: str) -> str:
    """Return a field with its value, a response flag in words too."""
    means = log.FLAGS.get(str(line[name]), "") if name == "response_flags" else ""
    return f"{name} {line[name]}" + (f" ({means})" if means else "")


def differences(found: Mapping[str, Sequence[tuple[str, ...]]], names: Sequence[str]) -> Table:
    """Return each cell that differs, and what differs in it."""
    rows = []
    for cell, each in found.items():
        for position, field in enumerate(SAME):
            values = [one[position] or "-" for one in each]
            if len({*values}) > 1:
                rows.append((cell, field, *values))
    return Table("", ("cell", "what", *names), tuple(rows))
