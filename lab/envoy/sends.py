"""What applications send, by name: the first bytes of a connection and the request in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.common.errors import BadArguments
from lab.common.suggest import meant
from lab.envoy import addresses
from lab.envoy.first_bytes import HELLO, PREFACE, FirstBytes, http
from lab.envoy.routes import Request

Sent = tuple[FirstBytes, Request | None]


def _http(version: str, **headers: str) -> Callable[[str, str], Sent]:
    def sent(host: str, path: str) -> Sent:
        line = f"GET {path} HTTP/{version}\r\n".encode()
        return FirstBytes(line), Request(host, path, "GET", headers)

    return sent


def _h2(**headers: str) -> Callable[[str, str], Sent]:
    method = "POST" if headers else "GET"
    return lambda host, path: (FirstBytes(PREFACE), Request(host, path, method, headers))


def _bytes(data: bytes) -> Callable[[str, str], Sent]:
    return lambda _host, _path: (FirstBytes(data), None)


def _tls(host: str, _path: str) -> Sent:
    return FirstBytes(HELLO, host, ("h2", "http/1.1")), None


ISMASTER = (
    b"\x4a\x01\0\0\0\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\0\0\0\x35\x01\0\0"
    b"\x10ismaster\0\x01\0\0\0\x03client\0\x2f\0\0\0\x02name\0\x0a\0\0\0PyMongo|c\0"
)
"""How PyMongo begins: a length, then an OP_QUERY. A byte of it is a line feed: there Envoy's HTTP
parser decides even where the length begins as a method does.
https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/"""
HELLO_3 = b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
"""How a Redis client begins (https://redis.io/docs/latest/commands/hello/)."""


def _spoken(
    name: str, data: bytes = b"", *, begins_tls: bool = False
) -> Callable[[str, str], Sent]:
    return lambda _host, _path: (FirstBytes(data, spoken=name, begins_tls=begins_tls), None)


SENDS: dict[str, Callable[[str, str], Sent]] = {
    "http1.1": _http("1.1"),
    "http1.0": _http("1.0"),
    "h2": _h2(),
    "grpc": _h2(**{"content-type": "application/grpc"}),
    "websocket": _http("1.1", upgrade="websocket", connection="Upgrade"),
    "upgrade-h2c": _http("1.1", upgrade="h2c", connection="Upgrade, HTTP2-Settings"),
    "upgrade-tls": _http("1.1", upgrade="TLS/1.2", connection="Upgrade"),
    "tls": _tls,
    "line": _bytes(b"hello\n"),
    "three-bytes": _bytes(b"HEL"),
    "half-line": _bytes(b"GET /"),
    "nothing": _bytes(b""),
    "mongo": _spoken("MongoDB", ISMASTER),
    "mysql": _spoken("MySQL"),
    "mysql-tls": _spoken("MySQL", begins_tls=True),
    "redis": _spoken("Redis", HELLO_3),
    "datagram": lambda _host, _path: (FirstBytes(b"hello\n", spoken="a datagram", udp=True), None),
}
"""By name, what a client writes for a host and a path. `nothing`: the server speaks first, as that
of MySQL does, whose client asks for TLS after its greeting."""


def sent(name: str, host: str, path: str) -> Sent:
    """Return what a client writes. Raises BadArguments for a name that is not known."""
    if name not in SENDS:
        raise BadArguments(
            f"--sends {name!r} is not known: {meant(name, [*SENDS])}there is {', '.join(SENDS)}"
        )
    return SENDS[name](host, path)


ALPN: Mapping[str, tuple[str, ...]] = {
    "h2c": ("h2",),
    "http/1.1": ("http/1.1",),
    "http/1.0": ("http/1.1",),
}
"""What a TLS client offers, by what it sends inside."""


def within_tls(sent: Sent, host: str, *, certificate: bool) -> Sent:
    """Return the same inside TLS of the client's own, to a host.

    certificate: whether the client has one to show.
    """
    inside, request = sent
    alpn = ALPN.get(http(inside.data), ()) if inside.data else ()
    return FirstBytes(HELLO, server_name(host), alpn, inside, certificate), request


def server_name(host: str) -> str:
    """Return what a TLS client writes as SNI: none for an address (RFC 6066, section 3)."""
    name = host.partition(":")[0]
    return "" if addresses.is_one(name) else name
