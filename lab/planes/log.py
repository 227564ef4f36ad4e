"""The proxies' access logs, joined to a call by request id or by ports.

The server's proxy is the witness of *mutual*: it alone saw the client's certificate.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.common.untrusted import parse as parse_json
from lab.packets.pcap import Address
from lab.planes import Fact, Security, Seen

Line = Mapping[str, Any]
SERVER, CLIENT = "server's proxy", "client's proxy"
_NO_TLS = ("HTTP_REQUEST", "WRONG_VERSION_NUMBER")
"""What BoringSSL says of a first record that is none."""
OURS = frozenset({"start_time", "downstream_peer_uri_san"})
"""Fields by which a line is known as one of the lab's format, beside a mesh's own log."""
NUMBER = "lab_line"
"""Where a line stands in its file."""
FLAGS = {
    "DC": "the client ended the connection",
    "DPE": "the client broke the protocol",
    "NC": "no such cluster",
    "NR": "no route or filter chain",
    "SI": "nothing was sent for too long",
    "UC": "the server ended the connection",
    "UF": "no connection to the server",
    "UH": "no healthy server",
    "UPE": "the server broke the protocol",
    "UR": "the server reset it",
    "URX": "no retry is left",
    "UT": "the server took too long",
}
"""Response flags that proxies of a mesh have, in words.
https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
"""
NO_TEXT = (None, "", "-")
"""What Envoy's formats write for a field that has no value."""


def parse(text: str) -> list[Line]:
    """Return the access-log lines of a proxy's output; its other lines are passed over."""
    return [entry for entry in entries(text) if entry.keys() >= OURS]


def entries(text: str) -> Iterator[Line]:
    """Yield every line that is one JSON object, with its number; others are passed over."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("{"):
            try:
                entry: dict[str, Any] = parse_json(line)
            except ValueError:
                continue  # cut off while it was being written
            yield {**entry, NUMBER: number}


def find(
    lines: Sequence[Line],
    *,
    request_id: str,
    address: str,
    until: float = math.inf,
    path: str = "",
) -> Line | None:
    """Return a proxy's line of a call: by request id, else by the address that called it.

    until: Unix seconds at which the call had ended; what began later may have an address again.
    path: of its request. grpcurl asks what methods there are first, with the same request id.
    """
    wanted = untraced(request_id)
    ours = [line for line in lines if wanted and untraced(line.get("request_id")) == wanted]
    ours = [line for line in ours if line.get("path") == path] or ours
    from_there = [
        line for line in ours or lines if line.get("downstream_remote_address") == address
    ]
    # A request that Envoy tried again has several lines: the last attempt's is the answer's.
    return _last((from_there if address else []) or ours, until)


def passed_again(lines: Sequence[Line], line: Line, until: float) -> Line:
    """Return a sidecar's line with the address by which it left the pod, if it came by twice.

    A pod's conntrack remembers for some seconds that a connection of the application's that ended
    was redirected. If the sidecar's own connection to the same address has the same port by then,
    it is redirected as well: the sidecar calls itself, and passes on its own bytes.
    https://docs.kernel.org/networking/nf_conntrack-sysctl.html (nf_conntrack_tcp_timeout_close)
    """
    own, to = line.get("upstream_local_address"), line.get("upstream_host")
    found = [
        one
        for one in lines
        if own
        and one.get("downstream_remote_address") == own
        and one.get("downstream_local_address") == to
        and (began(line) or 0.0) <= (began(one) or 0.0) <= until
    ]
    if not found:
        return line
    return {**line, "upstream_local_address": found[0].get("upstream_local_address")}


def sent_from(lines: Sequence[Line], address: str, until: float = math.inf) -> Line | None:
    """Return a proxy's line of what it sent from its own address; `until` as `find` has it."""
    found = [one for one in lines if address and one.get("upstream_local_address") == address]
    return _last(found, until)


def _last(found: Sequence[Line], until: float) -> Line | None:
    """Return the last that had begun by then; of lines that are all later, clocks differ."""
    begun = [line for line in found if (began(line) or 0.0) <= until] or found
    return begun[-1] if begun else None


def began(line: Line) -> float | None:
    """Return when a line's request or connection began, Unix seconds; None: it does not say."""
    try:
        return datetime.datetime.fromisoformat(str(line.get("start_time"))).timestamp()
    except (ValueError, OverflowError):
        return None


def untraced(request_id: Any) -> str:
    """Return a request id without the digit in which Envoy notes why a request is traced.

    https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers
    """
    text = str(request_id or "")
    return text[:14] + text[15:]


def client_says(line: Line | None) -> Seen:
    """Return what the client's proxy says of whom it spoke to, and how."""
    if line is None:
        return Seen("log", CLIENT, "unknown", "the client's proxy has no line of this call")
    facts: dict[str, Fact] = {
        "peer": _text(line, "upstream_peer_uri_san"),
        "tls_version": _text(line, "upstream_tls_version"),
        "cluster": line.get("upstream_cluster"),
        "flags": line.get("response_flags"),
        "details": line.get("response_code_details"),
        "failure": line.get("upstream_transport_failure_reason"),
        "line": line[NUMBER],
    }
    if not line.get("upstream_host"):
        why = f"the client's proxy answered by itself: {facts['details'] or facts['flags']}"
        return Seen("log", CLIENT, "none", why, facts)
    return Seen("log", CLIENT, *_spoke(line, facts), facts)


def _spoke(line: Line, facts: Mapping[str, Fact]) -> tuple[Security, str]:
    """Return how a client's proxy spoke to the host that its line names, and why it says so."""
    host, peer, version = line["upstream_host"], facts["peer"], facts["tls_version"]
    if version and peer and _text(line, "upstream_local_uri_san"):
        met = f"the client's proxy met {peer} at {host}, and holds a certificate itself ({version})"
        return "mutual_tls", met
    if version:
        return "tls", f"the client's proxy spoke {version} to {host}"
    if failure := _text(line, "upstream_transport_failure_reason"):
        return "tls", f"the client's proxy began TLS with {host}, and that failed: {failure}"
    via = f"the client's proxy sent it through {facts['cluster']} to {host}"
    if facts["cluster"] == "PassthroughCluster":
        # It passes on what it is given, and knows not whether that is TLS of the application's.
        return "unknown", f"{via}, as it came"
    return "plaintext", f"{via} without TLS"


def server_says(line: Line | None) -> Seen:
    """Return what the server's proxy says of who called it."""
    if line is None:
        return Seen("log", SERVER, "unknown", "the server's proxy has no line of this connection")
    facts: dict[str, Fact] = {
        "peer": _text(line, "downstream_peer_uri_san"),
        "tls_version": _text(line, "downstream_tls_version"),
        "from": line.get("downstream_remote_address"),
        "flags": line.get("response_flags"),
        "details": line.get("response_code_details"),
        "failure": line.get("downstream_transport_failure_reason"),
        "sni": line.get("requested_server_name"),
        "line": line[NUMBER],
    }
    return Seen("log", SERVER, *_took(facts, has_read(line)), facts)


def has_read(line: Line) -> bool:
    """Return whether a server's proxy was given bytes, which it is after a handshake only.

    What its transport failed at was no handshake then. Bytes are counted as they come out of TLS.
    """
    received = line.get("bytes_received")
    return isinstance(received, int) and received > 0


def _text(line: Line, field: str) -> str | None:
    """Return a field's text; None where there is none."""
    value = line.get(field)
    return value if isinstance(value, str) and value not in NO_TEXT else None


def _took(facts: Mapping[str, Fact], given_bytes: bool) -> tuple[Security, str]:
    """Return what the server's proxy took a connection for, and why it says so."""
    peer, version = facts["peer"], facts["tls_version"]
    failure = "-" if facts["failure"] in NO_TEXT else facts["failure"]
    if not isinstance(failure, str):
        return "unknown", f"its reason for a failed handshake is no text: {failure!r}"
    if any(word in failure for word in _NO_TLS):
        return "plaintext", f"what came was no TLS: {failure}"
    if failure != "-" and not (version and given_bytes):
        # Envoy logs the name that a certificate claims, even of one that it then refuses.
        return "tls", f"the handshake was refused: {failure}"
    if version:
        took = f"the server's proxy took {peer} from the client's certificate ({version})"
        return ("mutual_tls", took) if peer else ("tls", f"{version}, no client certificate")
    if facts["details"] == "filter_chain_not_found" and facts["sni"]:
        return "tls", "no filter chain for TLS such as it was"
    return "plaintext", "the server's proxy saw no TLS"


def attempts(line: Line | None) -> int:
    """Return how often a client's proxy tried to pass a call on; 0: it does not say."""
    said = (line or {}).get("upstream_request_attempt_count")
    return said if isinstance(said, int) else 0


def sent_elsewhere(line: Line | None, targets: Sequence[Address]) -> Address | None:
    """Return whom a client's proxy called instead of whom a call was meant for; None: nobody."""
    host = field_text(line or {}, "upstream_host")
    address, _, port = host.rpartition(":")
    found = (address, int(port)) if port.isdecimal() else None
    return None if found in targets else found


def port_of(address: Any) -> int | None:
    """Return the port of `10.0.0.1:4711`; None when it is none."""
    found = re.search(r":(\d{1,5})$", str(address or ""), re.ASCII)
    return int(found[1]) if found else None


def field_text(line: Line, field: str) -> str:
    """Return a field's text; nothing where there is none, for which Envoy may write a dash."""
    value = line.get(field)
    return value if isinstance(value, str) and value != "-" else ""


def both_named(line: Line) -> bool:
    """Return whether both had a SPIFFE name, and their handshake was not refused."""
    named = all(field_text(line, f"downstream_{who}_uri_san") for who in ("peer", "local"))
    failed = line.get("downstream_transport_failure_reason") not in NO_TEXT
    return named and (not failed or has_read(line))
