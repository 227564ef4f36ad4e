"""What a client sends first, and what Envoy's inspectors make of it.

The TLS inspector decides by the first bytes. The HTTP inspector decides as soon as no method begins
like this, else at the end of the first line: a client that sends neither is waited for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What an HTTP/2 client sends first (RFC 9113, 3.4)."""
HELLO = b"\x16\x03\x01\x02\x00"
"""How a TLS client begins: the header of a handshake record (RFC 8446, 5.1)."""
RECORD_HEADER = len(HELLO)
METHODS = frozenset(
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL"
    b" MOVE MSEARCH NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH"
    b" SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE".split()
)
"""That Envoy's HTTP/1 parser knows (source/common/http/http1/balsa_parser.cc)."""
_REQUEST_LINE = re.compile(rb"(\S+) +(\S+) +HTTP/(\d)\.(\d)\r?$")

Verdict = Literal["http/1.0", "http/1.1", "h2c", "no http", "waits"]


@dataclass(frozen=True, slots=True)
class FirstBytes:
    """What a client sends before it has read anything. No data: it waits for the server."""

    data: bytes = b""
    server_name: str = ""
    """Of a TLS client."""
    alpn: tuple[str, ...] = ()
    inside: FirstBytes | None = None
    """What a TLS client sends inside its TLS, where that is known."""
    certificate: bool = False
    """Whether a TLS client shows one, of an authority that is not the mesh's."""
    spoken: str = ""
    """A protocol that is neither HTTP nor TLS, where it is known."""
    begins_tls: bool = False
    """After first words in plaintext, the client begins TLS on the same connection."""
    udp: bool = False
    """In datagrams, which no sidecar takes: istio-iptables redirects TCP only."""

    @property
    def tls(self) -> bool | None:
        """Return whether they begin a TLS handshake; None: they are too few to say.

        Envoy lets BoringSSL read them, which wants a whole record header, whatever its first byte:
        a proxy was seen to wait after three bytes of text.
        """
        if len(self.data) < RECORD_HEADER:
            return None
        return self.data[:2] == HELLO[:2]


@lru_cache(1024)
def http(data: bytes) -> Verdict:
    """Return what the HTTP inspector makes of the first bytes (http_inspector.cc)."""
    if data[: len(PREFACE)] == PREFACE[: len(data)]:
        return "h2c" if len(data) >= len(PREFACE) else "waits"
    method, ended, _ = data.partition(b" ")
    if not any(one == method if ended else one.startswith(method) for one in METHODS):
        return "no http"
    line, end, _ = data.partition(b"\n")
    if not end and b"\r" not in data:
        return "waits"
    found = _REQUEST_LINE.match(line)
    if not found or found.group(1) not in METHODS:
        return "no http"
    return "http/1.1" if found.group(3, 4) == (b"1", b"1") else "http/1.0"


Spoken = Literal["http/1.1", "h2"]
"""An HTTP version between a proxy and what it sends to."""


def asked(sent: FirstBytes) -> Spoken:
    """Return the HTTP version of a request that a proxy has read."""
    return "h2" if http(sent.data) == "h2c" else "http/1.1"


def of_request(version: Spoken, method: str = "GET", path: str = "/") -> FirstBytes:
    """Return what a proxy writes first when it sends a request on."""
    return FirstBytes(PREFACE if version == "h2" else f"{method} {path} HTTP/1.1\r\n".encode())


def named(sent: FirstBytes) -> str:
    """Name what first bytes are, for a person."""
    if sent.spoken:
        return sent.spoken
    if not sent.data:
        return "no bytes"
    if sent.tls:
        return "TLS"
    return _NAMES.get(http(sent.data), "bytes that are not HTTP")


_NAMES: dict[Verdict, str] = {"http/1.0": "HTTP/1.0", "http/1.1": "HTTP/1.1", "h2c": "HTTP/2"}
