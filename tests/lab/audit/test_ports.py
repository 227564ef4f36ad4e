"""What Istio reads from a port's name, and which clients an audit walks for it."""

from __future__ import annotations

import pytest

from lab.audit import ports
from lab.envoy import sends


@pytest.mark.parametrize(
    ("name", "app_protocol", "protocol"),
    [
        ("http", "", "http"),
        ("http-web", "", "http"),
        ("httpweb", "", ""),
        ("grpc-web-x", "", "grpc-web"),
        ("grpc", "", "grpc"),
        ("udp-foo", "", "udp"),
        ("", "", ""),
        ("web", "kubernetes.io/h2c", "http2"),
        ("tcp-x", "HTTP", "http"),
        ("mysql", "", "mysql"),
        ("http", "unheard-of", "http"),
    ],
)
def test_a_ports_protocol_is_that_of_its_app_protocol_or_of_its_names_prefix(
    name: str, app_protocol: str, protocol: str
) -> None:
    assert ports.declared(name, app_protocol) == protocol


def test_every_protocol_has_clients_that_the_model_can_walk() -> None:
    names = ("http", "http2", "grpc", "grpc-web", "https", "tls", "tcp", "mongo", "mysql", "redis",
             "udp", "")  # fmt: skip
    for protocol in names:
        for name in ports.sends(protocol):
            sends.sent(name, "host", "/")
