"""What Envoy's inspectors make of a client's first bytes."""

from __future__ import annotations

import pytest

from lab.common.errors import BadArguments
from lab.envoy import first_bytes, sends
from lab.envoy.first_bytes import HELLO, PREFACE, FirstBytes


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\r\n", "http/1.1"),
        (b"GET / HTTP/1.0\r\n", "http/1.0"),
        (b"POST /x HTTP/1.1\r\nHost: a\r\n", "http/1.1"),
        (PREFACE, "h2c"),
        (PREFACE[:10], "waits"),
        (b"GET /", "waits"),
        (b"G", "waits"),
        (b"HEL", "no http"),
        (b"hello\n", "no http"),
        (b"GETS / HTTP/1.1\r\n", "no http"),
        (b"GET /\n", "no http"),
        (HELLO, "no http"),
    ],
)
def test_the_http_inspector_decides_at_an_impossible_method_or_a_whole_line(
    data: bytes, expected: str
) -> None:
    assert first_bytes.http(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [(HELLO, True), (b"GET /", False), (b"HEL", None), (HELLO[:3], None),
     (b"\x16\x02\x01\0\0", False)],
)  # fmt: skip
def test_the_tls_inspector_needs_five_bytes_whatever_they_are(
    data: bytes, expected: bool | None
) -> None:
    assert FirstBytes(data).tls is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("http1.0", "HTTP/1.0"), ("websocket", "HTTP/1.1"), ("grpc", "HTTP/2"), ("tls", "TLS"),
     ("line", "bytes that are not HTTP"), ("nothing", "no bytes"), ("mongo", "MongoDB"),
     ("mysql", "MySQL"), ("mysql-tls", "MySQL"), ("redis", "Redis"), ("datagram", "a datagram")],
)  # fmt: skip
def test_each_payload_is_what_its_name_says(name: str, expected: str) -> None:
    bytes_, _ = sends.sent(name, "httpbin", "/")
    assert first_bytes.named(bytes_) == expected


def test_an_unknown_payload_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadArguments, match=r"did you mean http1\.1"):
        sends.sent("http1", "httpbin", "/")
