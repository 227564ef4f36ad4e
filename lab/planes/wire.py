"""The wire: what packets captured at the pods' own interfaces say of one connection.

Istio's mTLS is TLS 1.3, which hides certificates from a passive reader: so this plane says
`tls`, and `mutual_tls` only of TLS 1.2 with a request and a certificate in the clear.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Literal

from lab.common.errors import BadEvidence
from lab.packets import pcap, tls
from lab.packets.pcap import Address, Connection
from lab.packets.tls import HELLO_INSIDE
from lab.planes import Security, Seen
from lab.planes.capture_file import REDIRECTED, CaptureFile, read_connections

SOURCE = "packets"


@dataclass(frozen=True)
class ConnectionQuery:
    """Which connection is meant: by its ports where known, else by when it began."""

    client_ip: str
    targets: tuple[Address, ...]
    """Where it may have been sent: pod IP and target port, ClusterIP and Service port."""
    client_port: int | None = None
    window: tuple[float, float] | None = None
    """Unix seconds in which the call was made; its SYN must lie there where no port is known."""
    since: float = 0.0
    """A connection that began before this is of an earlier configuration."""
    older: bool = False
    """Whether a connection will do that began before the capture, such as one of a proxy's pool:
    then only what crossed since is spoken of, and under which policy it began is not known."""

    def joins(self, connection: Connection) -> bool:
        """Return whether a connection lies between these ends."""
        return connection.client[0] == self.client_ip and connection.server in self.targets

    def had(self, connection: Connection) -> bool:
        """Return whether a connection began in the window; an older one, whether it was used."""
        first, last = self.window or (0.0, 0.0)
        used = [one.time for one in connection.segments if one.payload]
        times = used if connection.older else [connection.began]
        return any(first <= at <= last for at in times)


@dataclass(frozen=True)
class WireFacts:
    """What the packets of one connection show; every field is empty where none was found."""

    file: str = ""
    """The capture's name."""
    frame: int = 0
    """The first of its frames in that file that carries bytes, counted from 1; else the first."""
    client: str = ""
    """`IP:port` of who began it, where it was captured first."""
    client_at_server: str = ""
    """The same as the other pod has it; empty where it is no other."""
    server: str = ""
    syn_time: float | None = None
    """Unix seconds at which it began."""
    segments: int = 0
    client_bytes: int = 0
    """Payload that the client sent, in bytes."""
    server_bytes: int = 0
    ended_by: str = ""
    first_bytes: bytes = b""
    """Of what the client sent, 16 at most."""
    marker_in_client: int = 0
    """How often the call's marker is readable in what the client sent."""
    marker_in_server: int = 0
    sni: str = ""
    alpn_offered: tuple[str, ...] = ()
    tls_version: str = ""
    """As the server chose it."""

    @property
    def found(self) -> bool:
        """Whether a connection was found."""
        return bool(self.file)

    @property
    def marker_count(self) -> int:
        """How often the marker is readable in both directions."""
        return self.marker_in_client + self.marker_in_server

    @property
    def bytes_both_ways(self) -> int:
        """Payload of both directions, in bytes."""
        return self.client_bytes + self.server_bytes


@dataclass(frozen=True)
class WireSeen(Seen):
    """The wire's answer, and the connection that it was read from."""

    packets: WireFacts = WireFacts()


class Unsure(Exception):
    """Why nothing can be said."""


def read(
    query: ConnectionQuery, client_eth0: CaptureFile, server_eth0: CaptureFile | None, marker: bytes
) -> WireSeen:
    """Return what crossed between two pods, from both their eth0; or on one interface.

    marker: the call's own random bytes; how often they are found is told beside the answer.
    """
    try:
        where = "client's eth0" if server_eth0 else client_eth0.path.name
        at_client = find(query, client_eth0, where)
        at_server = at_client
        if server_eth0:
            at_server = find(query, server_eth0, "server's eth0", at_client)
        anywhere = "on either pod's eth0" if server_eth0 else f"in {where}"
        if at_client is None and at_server is None and query.client_port:
            raise Unsure(f"no connection from port {query.client_port} {anywhere}")
        if at_client is None and at_server is None:
            return _seen("none", f"no connection of this call {anywhere}")
        if at_client is None or at_server is None:
            where = "server's" if at_client is None else "client's"
            raise Unsure(f"the connection was found on the {where} eth0 only")
        _check_same(at_client, at_server)
        security, why = _classify(at_client)
        if at_client.older or at_server.older:
            security, why = _since_the_capture(security, at_client, marker)
        facts = _facts(at_client, client_eth0.path.name, marker)
        if at_server.client != at_client.client:
            facts = replace(facts, client_at_server=_text(at_server.client))
        return _seen(security, why, facts)
    except (Unsure, BadEvidence) as reason:
        return _seen("unknown", str(reason))


def read_attempts(
    query: ConnectionQuery,
    attempts: int,
    client_eth0: CaptureFile,
    server_eth0: CaptureFile,
    marker: bytes,
) -> WireSeen:
    """Return what crossed by the connections with which a proxy tried a call again and again.

    attempts: how many the proxy says it made. Each is read alone; they must be alike. Without that
    number of connections in the call's time, it is `read`'s answer.
    """
    try:
        there = [one for one in read_connections(client_eth0, False) if query.joins(one)]
    except BadEvidence as reason:
        return _seen("unknown", str(reason))
    ports = [one.client[1] for one in there if query.had(one)]
    if attempts < 2 or query.client_port is not None or len(ports) != attempts:
        return read(query, client_eth0, server_eth0, marker)
    each = [
        read(replace(query, client_port=port), client_eth0, server_eth0, marker) for port in ports
    ]
    odd = [one for one in each if one.security != each[0].security]
    if odd:
        return _seen("unknown", f"its proxy tried {attempts} times: {each[0].why}; {odd[0].why}")
    why = f"its proxy tried {attempts} times, each time alike: {each[-1].why}"
    return replace(each[-1], why=why)


def find(
    query: ConnectionQuery, capture: CaptureFile, where: str, at_client: Connection | None = None
) -> Connection | None:
    """Return the one connection meant, or None when a sound capture holds none.

    at_client: what it is at the other pod, where that is known.
    Raises Unsure where packets of it are missing, or where it cannot be told from others.
    """
    if capture.dropped:
        raise Unsure(f"tcpdump lost {capture.dropped} packets at the {where}")
    there = read_connections(capture, REDIRECTED in query.targets)
    if query.older:
        there = [_turned(query, one) for one in there]
    joining = [connection for connection in there if query.joins(connection)]
    found = _sent_on(at_client, joining) or _meant(query, joining)
    if len(found) > 1:
        raise Unsure(f"{len(found)} connections at the {where} could be the call's")
    if not found:
        return None
    if not found[0].syn_seen:
        raise Unsure(f"the connection's SYN is not in the capture at the {where}")
    if found[0].began < query.since:
        raise Unsure("the connection is older than the configuration in question")
    if not found[0].whole:
        raise Unsure(f"packets of the connection are missing at the {where}")
    return found[0]


def _meant(query: ConnectionQuery, joining: list[Connection]) -> list[Connection]:
    if query.client_port is not None:
        # Of a port used twice: the last that had begun when the call ended.
        found = [one for one in joining if one.client[1] == query.client_port]
        begun = [one for one in found if query.window is None or one.began <= query.window[1]]
        return (begun or found)[-1:]
    return [one for one in joining if query.window is None or query.had(one)]


def _sent_on(at_client: Connection | None, joining: list[Connection]) -> list[Connection]:
    """Return the same connection, as a node sent it on.

    What is for a ClusterIP comes to the pod from another source port where the node's conntrack
    remembers a connection of just these addresses and ports. Sequence numbers stay as they are.
    https://docs.kernel.org/networking/nf_conntrack-sysctl.html
    """
    if at_client is None or not at_client.syn_seen or at_client.older:
        return []
    start = at_client.halves["client"].start
    return [one for one in joining if one.halves["client"].start == start]


def _turned(query: ConnectionQuery, connection: Connection) -> Connection:
    """Return a connection of unknown beginning as it lies between these ends; others as is."""
    if connection.syn_seen:
        return connection
    first, other = connection.client, connection.server
    turned = other[0] == query.client_ip and first in query.targets
    return pcap.from_the_middle(connection, other if turned else first)


def _check_same(one: Connection, other: Connection) -> None:
    """Raise Unsure unless both pods have one connection: same first number, same bytes."""
    if one.halves["client"].start != other.halves["client"].start:
        raise Unsure("the two pods' captures show different connections")
    if any(one.sent(side) != other.sent(side) for side in one.halves):
        raise Unsure("the two pods saw different bytes of the connection")


def _classify(connection: Connection) -> tuple[Security, str]:
    sent = {side: connection.sent(side) for side in connection.halves}
    spoken = {side: _speaks(data) for side, data in sent.items() if data}
    if not spoken:
        return "none", f"connected, but no byte was sent ({connection.ended_by})"
    if "cut" in spoken.values():
        raise Unsure("a TLS record is not complete in the capture")
    kinds = set(spoken.values())
    if kinds == {"plain"}:
        return "plaintext", "payload outside TLS records"
    if kinds != {"tls"}:
        return "mixed", "TLS records and payload outside them: " + ", ".join(
            f"{side} {kind}" for side, kind in spoken.items()
        )
    if len(spoken) < 2:
        return "unknown", f"only the {next(iter(spoken))} sent anything: {connection.ended_by}"
    seen = _shown(sent["client"], sent["server"])
    if seen.certificate_requested and seen.client_certificate:
        return "mutual_tls", "TLS 1.2: a client certificate was asked for and given"
    return "tls", "both directions are TLS records from the first byte to the last"


def _since_the_capture(
    security: Security, connection: Connection, marker: bytes
) -> tuple[Security, str]:
    """Return what may be said of a connection whose beginning was not seen.

    Whole records to the last byte are no accident; what is none may be the rest of one.
    """
    since = "it began before the capture; what crossed since is"
    if security == "tls":
        return "tls", f"{since} whole TLS records, in both directions"
    if any(marker in connection.sent(side) for side in connection.halves):
        return "plaintext", f"{since} not TLS: the marker can be read in it"
    raise Unsure("the connection began before the capture, and what crossed since tells nothing")


def _speaks(data: bytes) -> Literal["tls", "plain", "mixed", "cut"]:
    read = tls.records(data)
    if read.whole:
        return "tls"
    if read.cut and (read.records or len(data) < 5 or data[0] == tls.HANDSHAKE):
        return "cut"
    if read.records or HELLO_INSIDE.search(data):
        return "mixed"
    return "plain"


def _facts(connection: Connection, file: str, marker: bytes) -> WireFacts:
    client, server = connection.sent("client"), connection.sent("server")
    seen = _shown(client, server)
    return WireFacts(
        file=file,
        frame=connection.first_frame or connection.segments[0].frame,
        client=_text(connection.client),
        server=_text(connection.server),
        syn_time=connection.began,
        segments=len(connection.segments),
        client_bytes=len(client),
        server_bytes=len(server),
        ended_by=connection.ended_by,
        first_bytes=client[:16],
        marker_in_client=client.count(marker),
        marker_in_server=server.count(marker),
        sni=seen.client_hello.sni if seen.client_hello else "",
        alpn_offered=tuple(seen.client_hello.alpn) if seen.client_hello else (),
        tls_version=seen.server_hello.version if seen.server_hello else "",
    )


@functools.lru_cache(maxsize=64)
def _shown(client: bytes, server: bytes) -> tls.Shown:
    return tls.shown(tls.records(client), tls.records(server))


def _text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"


def _seen(security: Security, why: str, packets: WireFacts = WireFacts()) -> WireSeen:
    return WireSeen("wire", SOURCE, security, why, packets=packets)
