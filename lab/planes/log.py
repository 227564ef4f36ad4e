"""The proxies' access logs, joined to a call by request id or by ports.

The server's proxy is the witness of *mutual*: it alone saw the client's certificate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lab.planes import Seen

Line = Mapping[str, Any]


def parse(text: str) -> list[Line]:
    """The access-log lines of a proxy's output; its other lines are passed over."""
    lines = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # cut off while it was being written
            if "start_time" in entry:
                lines.append(entry)
    return lines


def find(lines: Sequence[Line], *, request_id: str, address: str) -> Line | None:
    """A proxy's line of a call: by request id, else by the address that called it."""
    for line in lines:
        if request_id and line.get("request_id") == request_id:
            return line
    matching = [line for line in lines if line.get("downstream_remote_address") == address]
    return matching[-1] if address and matching else None


def server_says(line: Line | None) -> Seen:
    """What the server's proxy says of who called it."""
    if line is None:
        return _seen("unknown", "the server's proxy has no line of this connection")
    peer, version = line.get("downstream_peer_uri_san"), line.get("downstream_tls_version")
    facts = {
        "peer": peer,
        "tls_version": version,
        "from": line.get("downstream_remote_address"),
        "flags": line.get("response_flags"),
        "details": line.get("response_code_details"),
        "failure": line.get("downstream_transport_failure_reason"),
        "sni": line.get("requested_server_name"),
    }
    if facts["failure"] and facts["failure"] != "-":
        # Envoy logs the name that a certificate claims, even of one that it then refuses.
        why = f"the handshake was refused: {facts['failure']}"
        return Seen("log", "server's proxy", "tls", why, facts)
    if peer and version:
        why = f"the server's proxy took {peer} from the client's certificate ({version})"
        return Seen("log", "server's proxy", "mutual_tls", why, facts)
    if version:
        return Seen("log", "server's proxy", "tls", f"{version}, no client certificate", facts)
    return Seen("log", "server's proxy", "plaintext", "the server's proxy saw no TLS", facts)


def _seen(security: Any, why: str) -> Seen:
    return Seen("log", "server's proxy", security, why)


def port_of(address: Any) -> int | None:
    """The port of `10.0.0.1:4711`; None when it is none."""
    _, _, port = str(address or "").rpartition(":")
    return int(port) if port.isdigit() else None
