"""What the words of a command say of what it sends first."""

from __future__ import annotations

import pytest

from lab.envoy.sends import SENDS
from lab.model import call_types
from lab.model.sending import ANYTHING, Sending


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("curl -sS http://httpbin:8000/a?b=c", Sending(("http1.1",), "httpbin", "/a?b=c")),
        ("curl -sSi -0 http://httpbin:8000/", Sending(("http1.0",), "httpbin")),
        ("curl -sSi0 http://httpbin:8000", Sending(("http1.0",), "httpbin")),
        ("curl --http2 http://httpbin:8000/", Sending(("upgrade-h2c",), "httpbin")),
        ("curl --http2-prior-knowledge http://a:1/", Sending(("h2",), "a")),
        ("curl -X PUT http://a:1/", Sending(("http1.1",), "a", method="PUT")),
        ("curl -sSd '{}' http://a:1/", Sending(("http1.1",), "a", method="POST")),
        ("curl --data-binary @f http://a:1/", Sending(("http1.1",), "a", method="POST")),
        ("curl -I http://a:1/", Sending(("http1.1",), "a", method="HEAD")),
        (
            "curl -H 'Connection: Upgrade' -H 'Upgrade: TLS/1.2' http://a:1/",
            Sending(("http1.1",), "a", headers={"connection": "Upgrade", "upgrade": "TLS/1.2"}),
        ),
        (
            "curl -sS -H 'Host: other.example' http://a:1/",
            Sending(("http1.1",), "other.example", headers={"host": "other.example"}),
        ),
        ("curl -k https://b:443/", Sending(("tls",), "b")),
        ("curl --http1.1 https://b:443/", Sending(("tls",), "b", alpn=("http/1.1",))),
        (
            'grpcurl -plaintext -d \'{"a": "x:1"}\' grpcbin:4200 grpcbin.GRPCBin/DummyUnary',
            Sending(("grpc",), "grpcbin", "/grpcbin.GRPCBin/DummyUnary", "POST"),
        ),
        ("grpcurl -insecure grpcbin:9001 a.B/C", Sending(("tls",), "grpcbin", alpn=("h2",))),
        ("say tcp-echo 9000 hello", Sending(("line",), data=b"hello\n")),
        ("tls-probe a 443 --sni x.y --alpn istio", Sending(("tls",), "x.y", alpn=("istio",))),
        ("tls-probe a 443", Sending(("tls",), alpn=())),
        ("timeout 5 bash -c 'exec 3<>/dev/tcp/a/1'", ANYTHING),
        ("curl -sS httpbin:8000/a", Sending(("http1.1",), "httpbin", "/a")),
        ("curl httpbin:8000 -v", Sending(("http1.1",), "httpbin")),
        ("curl -K file", ANYTHING),
        ("grpcurl -plaintext", ANYTHING),
        ("curl 'half a quote", ANYTHING),
    ],
)
def test_a_command_says_what_it_sends_first(command: str, expected: Sending) -> None:
    assert call_types.sending(command) == expected


def test_the_model_of_the_proxies_knows_every_name() -> None:
    names = set(ANYTHING.names)
    names |= {"http1.1", "http1.0", "h2", "upgrade-h2c", "websocket", "grpc", "tls", "line"}
    assert names <= SENDS.keys()
