"""What applications send, by name: the first bytes of a connection and the request in them."""

from __future__ import annotations

from collections.abc import Callable

from lab.common.errors import BadArguments
from lab.common.suggest import meant
from lab.envoy.first_bytes import HELLO, PREFACE, FirstBytes
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
}
"""By name, what a client writes for a host and a path. `nothing`: the server speaks first."""


def sent(name: str, host: str, path: str) -> Sent:
    """Return what a client writes. Raises BadArguments for a name that is not known."""
    if name not in SENDS:
        raise BadArguments(
            f"--sends {name!r} is not known: {meant(name, [*SENDS])}there is {', '.join(SENDS)}"
        )
    return SENDS[name](host, path)
