"""Why the model and Istio's simulation differ about a call: each cause by name, with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hops import Hop
from simulation import Said

from lab.envoy import first_bytes

UNTOLD = ("invalid TLS", "invalid mTLS")
"""Errors after which the simulation does not say which of a name's chains it was."""


@dataclass(frozen=True)
class Cause:
    """Something that the simulation leaves out."""

    name: str
    reason: str
    """What a proxy does, and what the simulation says in its place."""
    holds: Callable[[Hop, Said], bool]


def _ends(*words: str) -> Callable[[Hop, Said], bool]:
    return lambda hop, _: any(word in hop.ours.error for word in words)


def _is_http10(hop: Hop, _: Said) -> bool:
    return first_bytes.http(hop.sent.data) == "http/1.0"


CAUSES: Sequence[Cause] = (
    Cause(
        "HTTP/1.0",
        "The HTTP inspector tells HTTP/1.0 from HTTP/1.1, and a connection manager answers it with "
        "426. The simulation has one protocol `http`, which it takes for HTTP/1.1.",
        _is_http10,
    ),
    Cause(
        "bytes that do not come",
        "Inspectors and the HTTP parser wait for bytes. The simulation never waits: it takes what "
        "is no HTTP for a protocol error, or for what no inspector recognizes.",
        _ends("hangs:"),
    ),
    Cause(
        "Upgrade",
        "A connection manager answers 403 to an upgrade that it does not allow, and resets one "
        "that comes over HTTP/2. The simulation does not read headers.",
        _ends("upgrade_failed", "http2.invalid.header.field"),
    ),
    Cause(
        "no endpoint",
        "A cluster without endpoints, such as BlackHoleCluster, carries nothing. The simulation "
        "ends with the cluster's name.",
        _ends("no_healthy_upstream"),
    ),
    Cause(
        "the client's side of a handshake",
        "A caller's proxy verifies the server's certificate. The simulation knows the server's "
        "side of a handshake only.",
        _ends("CERTIFICATE_VERIFY_FAILED"),
    ),
    Cause(
        "TLS that is answered in HTTP",
        "A connection manager without TLS answers a handshake with 400, and the caller's proxy "
        "breaks off: for the simulation it is a protocol error.",
        _ends("WRONG_VERSION_NUMBER"),
    ),
)


def differs(hop: Hop, said: Said) -> bool:
    """Return whether the two do not say the same of a call."""
    ours, theirs = hop.ours, said
    if said.error in UNTOLD:
        ours, theirs = replace(ours, index=-1), replace(theirs, index=-1)
    if hop.call.mode == "inbound":  # there is one route for all, and the model does not name it
        theirs = replace(theirs, virtual_host="", route="")
    return ours != theirs


def cause(hop: Hop, said: Said) -> Cause | None:
    """Return why they differ; None: it is not known."""
    return next((one for one in CAUSES if one.holds(hop, said)), None)
