"""What the caller's application sent first, for a command that does not say it.

It is read where the application's own bytes are: on its pod's loopback where a sidecar takes them,
else on the pod's eth0. It says nothing of how the call was secured beyond that.
"""

from __future__ import annotations

from lab.common.errors import BadEvidence
from lab.judge.hop_evidence import HopEvidence
from lab.model import call_types
from lab.model.sending import ANYTHING, Sending, of_bytes
from lab.packets import tls
from lab.planes import wire
from lab.planes.capture_file import REDIRECTED
from lab.planes.wire import ConnectionQuery


def sending(hop: HopEvidence) -> Sending:
    """Return what the call sends first: by its command, else by its packets, else anything."""
    typed = call_types.sending(hop.record.typed)
    return typed if typed != ANYTHING else _captured(hop) or ANYTHING


def _captured(hop: HopEvidence) -> Sending | None:
    intercepted = hop.client.sidecar
    capture = hop.capture(hop.call.source, "lo" if intercepted else "eth0")
    if capture is None:
        return None
    port = hop.record.local_port or None
    query = hop.query(port)
    if intercepted:
        query = ConnectionQuery(hop.client.ip, (REDIRECTED,), port, hop.window)
    try:
        found = wire.find(query, capture, capture.path.name)
    except (wire.Unsure, BadEvidence):
        return None
    if found is None:
        return None
    data = found.sent("client")
    hello = tls.shown(tls.records(data), tls.records(b"")).client_hello
    return of_bytes(data, *((hello.sni, tuple(hello.alpn)) if hello else ()))
