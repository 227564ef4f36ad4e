"""TLS as a passive reader sees it: records, hellos, and what TLS 1.2 shows in the clear.

RFC 8446 (1.3) and RFC 5246 (1.2). In TLS 1.3 everything after the ServerHello is encrypted:
CertificateRequest, certificates, the chosen ALPN and alerts are not to be seen.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24
CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, CERTIFICATE_REQUEST = 1, 2, 11, 13
LONGEST = 2**14 + 2048
VERSIONS = {0x0300: "SSLv3", 0x0301: "TLSv1.0", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2"}
VERSIONS |= {0x0304: "TLSv1.3"}
# RFC 8446 6; those that a mesh is seen to send, and the commonest of the others.
ALERTS = {0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow"}
ALERTS |= {40: "handshake_failure", 42: "bad_certificate", 43: "unsupported_certificate"}
ALERTS |= {44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown"}
ALERTS |= {47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error"}
ALERTS |= {51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security"}
ALERTS |= {80: "internal_error", 86: "inappropriate_fallback", 90: "user_canceled"}
ALERTS |= {109: "missing_extension", 112: "unrecognized_name", 116: "certificate_required"}
ALERTS |= {120: "no_application_protocol"}
# RFC 8446 4.1.3: a ServerHello with this random is a HelloRetryRequest.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


class Record(NamedTuple):
    """One TLS record."""

    kind: int
    body: bytes


@dataclass(frozen=True)
class Records:
    """One direction of a connection, read as TLS."""

    records: tuple[Record, ...]
    rest: bytes
    """What does not parse as a record, or a last record that is not complete."""
    cut: bool
    """The rest begins like a record, and ends before it is complete."""

    @property
    def whole(self) -> bool:
        """Every byte from the first to the last is part of a TLS record."""
        return bool(self.records) and not self.rest


def records(data: bytes) -> Records:
    """Split bytes into TLS records as far as they are some."""
    found: list[Record] = []
    position = 0
    while position + 5 <= len(data):
        kind, major, _, length = struct.unpack_from(">BBBH", data, position)
        if not CHANGE_CIPHER_SPEC <= kind <= HEARTBEAT or major != 3 or length > LONGEST:
            return Records(tuple(found), data[position:], cut=False)
        if position + 5 + length > len(data):
            return Records(tuple(found), data[position:], cut=True)
        found.append(Record(kind, data[position + 5 : position + 5 + length]))
        position += 5 + length
    rest = data[position:]
    return Records(tuple(found), rest, cut=bool(rest) and 20 <= rest[0] <= 24)


class Message(NamedTuple):
    """A handshake message in the clear, or an alert."""

    kind: int
    """Type of a handshake message; description of an alert."""
    body: bytes
    record: int
    """Place, in its direction, of the record with which it is complete."""


def handshakes(direction: Records) -> Iterator[tuple[int, bytes]]:
    """Return (type, body) of each handshake message in the clear, joined over records."""
    return ((message.kind, message.body) for message in messages(direction))


def messages(direction: Records) -> Iterator[Message]:
    """Return each handshake message in the clear, joined over records."""
    clear = bytearray()
    position = 0
    for number, record in _in_the_clear(direction):
        clear += record.body if record.kind == HANDSHAKE else b""
        while position + 4 <= len(clear):
            length = int.from_bytes(clear[position + 1 : position + 4], "big")
            if position + 4 + length > len(clear):
                break
            body = bytes(clear[position + 4 : position + 4 + length])
            yield Message(clear[position], body, number)
            position += 4 + length


def alerts(direction: Records) -> list[int]:
    """Return descriptions of alerts sent in the clear (RFC 8446 6): 40, 42, 48, 116, ..."""
    return [message.kind for message in alert_messages(direction)]


def alert_messages(direction: Records) -> Iterator[Message]:
    """Return each alert sent in the clear."""
    for number, record in _in_the_clear(direction):
        if record.kind == ALERT and len(record.body) == 2:
            yield Message(record.body[1], record.body, number)


def _in_the_clear(direction: Records) -> Iterator[tuple[int, Record]]:
    for number, record in enumerate(direction.records):
        if record.kind in (CHANGE_CIPHER_SPEC, APPLICATION_DATA):
            return  # what follows is encrypted
        yield number, record


@dataclass(frozen=True)
class ClientHello:
    """What a client says before anything is encrypted. Offers, not facts."""

    sni: str
    alpn: tuple[str, ...]
    versions: tuple[str, ...]
    length: int
    """Bytes of the message."""


@dataclass(frozen=True)
class ServerHello:
    """What a server chose in the clear."""

    version: str
    retry: bool
    cipher: int


class _Short(Exception):
    """A message ends before its own lengths say so."""


class _Cursor:
    """Reads a message piece by piece. Raises _Short at its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            raise _Short
        self._at += count
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Return a piece that is preceded by its length in `size` bytes."""
        return self.take(self.number(size))

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def client_hello(body: bytes) -> ClientHello | None:
    """Return a ClientHello's body read; None when it is none."""
    try:
        cursor = _Cursor(body)
        legacy = cursor.number(2)
        cursor.take(32)
        for size in (1, 2, 1):  # session id, cipher suites, compression methods
            cursor.vector(size)
        extensions = _extensions(cursor)
        return ClientHello(
            _sni(extensions.get(0, b"")),
            _alpn(extensions.get(16, b"")),
            _versions(extensions.get(43, b""), legacy),
            len(body),
        )
    except _Short:
        return None


def server_hello(body: bytes) -> ServerHello | None:
    """Return a ServerHello's body read; None when it is none."""
    try:
        cursor = _Cursor(body)
        version = cursor.number(2)
        random = cursor.take(32)
        cursor.vector(1)
        cipher = cursor.number(2)
        cursor.take(1)
        chosen = _extensions(cursor).get(43, b"")
        version = int.from_bytes(chosen, "big") if len(chosen) == 2 else version
        return ServerHello(_name(version), random == _RETRY, cipher)
    except _Short:
        return None


def _extensions(cursor: _Cursor) -> dict[int, bytes]:
    if not cursor.left:
        return {}
    inner = _Cursor(cursor.vector(2))
    found: dict[int, bytes] = {}
    while inner.left:
        kind = inner.number(2)
        found[kind] = inner.vector(2)
    return found


def _sni(data: bytes) -> str:
    if not data:
        return ""
    names = _Cursor(_Cursor(data).vector(2))
    names.take(1)
    return names.vector(2).decode("ascii", "replace")


def _alpn(data: bytes) -> tuple[str, ...]:
    if not data:
        return ()
    names, found = _Cursor(_Cursor(data).vector(2)), []
    while names.left:
        found.append(names.vector(1).decode("ascii", "replace"))
    return tuple(found)


def _versions(data: bytes, legacy: int) -> tuple[str, ...]:
    if not data:
        return (_name(legacy),)
    listed = _Cursor(data).vector(1)
    numbers = [int.from_bytes(listed[i : i + 2], "big") for i in range(0, len(listed) - 1, 2)]
    return tuple(_name(n) for n in numbers if n & 0x0F0F != 0x0A0A)  # GREASE, RFC 8701


def _name(version: int) -> str:
    return VERSIONS.get(version, f"0x{version:04x}")


@dataclass(frozen=True)
class Shown:
    """What one TLS connection shows to a passive reader."""

    client_hello: ClientHello | None
    server_hello: ServerHello | None
    client_alerts: tuple[int, ...]
    server_alerts: tuple[int, ...]
    certificate_requested: bool
    """Only TLS 1.2 shows this, and the next."""
    client_certificate: bool


def shown(client: Records, server: Records) -> Shown:
    """Read both directions of a TLS connection."""
    from_client, from_server = list(handshakes(client)), list(handshakes(server))
    hellos = [client_hello(body) for kind, body in from_client if kind == CLIENT_HELLO]
    answers = [server_hello(body) for kind, body in from_server if kind == SERVER_HELLO]
    chosen = [hello for hello in answers if hello and not hello.retry]
    certificates = [body for kind, body in from_client if kind == CERTIFICATE]
    return Shown(
        hellos[0] if hellos else None,
        chosen[-1] if chosen else None,
        tuple(alerts(client)),
        tuple(alerts(server)),
        any(kind == CERTIFICATE_REQUEST for kind, _ in from_server),
        any(int.from_bytes(body[:3], "big") > 0 for body in certificates),
    )


HELLO_INSIDE = re.compile(rb"\x16\x03[\x00-\x04]..\x01\x00", re.DOTALL)
