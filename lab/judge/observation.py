"""One call, or one hop of it, as each plane sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.model.evidence import CallRecord
from lab.model.scenario import Call
from lab.packets.pcap import Connection
from lab.planes import Security, Seen, log, stats
from lab.planes.capture_file import CaptureFile
from lab.planes.wire import ConnectionQuery, WireSeen

NOT_COUNTED = stats.server_says(None)


FINAL_HOP = "/2"
"""`see("x/2")` is the hop from the gateway to the workload, of a call `x` through a gateway."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One call, or one hop of it: its record, and what each plane says."""

    call: Call
    record: CallRecord
    wire: WireSeen
    server: Seen
    client: Seen
    config: Seen
    client_line: log.Line | None
    server_line: log.Line | None
    left_client: bool | None
    """Whether its bytes were seen on the client's own side; None: cannot be said."""
    counted: Seen = NOT_COUNTED
    """What the proxies' own counters say."""
    app_line: Mapping[str, Any] | None = None
    """What the application that was asked wrote into its own log."""
    query: ConnectionQuery | None = None
    """Which connection between the pods is meant; None: none can be."""
    strangeness: str = ""
    """Why the proxies' lines are not those of the captured connection, or nothing: packets,
    lines and counters contradict each other."""

    @property
    def security(self) -> Security:
        """What wire and server's proxy say together.

        It is `mutual_tls` only where the packets are TLS, and the server's proxy names the peer in
        a line of the captured connection.
        """
        named = self.server.security == "mutual_tls" and not self.strangeness
        if self.wire.security == "tls" and named:
            return "mutual_tls"
        return self.wire.security

    @property
    def marker_count(self) -> int:
        """How often the call's marker could be read in the packets between the pods."""
        return self.wire.packets.marker_count


@dataclass(frozen=True)
class Tap:
    """One interface on a call's way, and what its capture holds of the call."""

    pod: str
    interface: str
    capture: CaptureFile | None
    connection: Connection | None
    """None: it did not pass here, or that cannot be said."""
    seen: WireSeen
    """How it passed here; where there is no connection, why."""
