"""What Istio reads from a port's appProtocol, name and number."""

from __future__ import annotations

import pytest

from lab.common.port_protocols import declared, of_port


@pytest.mark.parametrize(
    ("name", "app_protocol", "number", "protocol"),
    [
        ("http", "", 80, "http"),
        ("http-web", "", 80, "http"),
        ("HTTP-web", "", 80, "http"),
        ("http_proxy", "", 80, "http"),
        ("httpweb", "", 80, ""),
        ("grpc-web-x", "", 80, "grpc-web"),
        ("grpc", "", 80, "grpc"),
        ("udp-foo", "", 80, "udp"),
        ("", "", 80, ""),
        ("h2c", "", 80, ""),
        ("web", "kubernetes.io/h2c", 80, "http2"),
        ("web", "kubernetes.io/wss", 80, "https"),
        ("tcp-x", "HTTP", 80, "http"),
        ("http", "tcp-x", 80, "tcp"),
        ("mysql", "", 80, "mysql"),
        ("http", "unheard-of", 80, ""),
        ("web", "", 3306, "tcp"),
        ("http", "", 3306, "http"),
        ("http", "unheard-of", 3306, "tcp"),
    ],
)
def test_a_ports_protocol_is_that_of_its_app_protocol_else_its_name_else_its_number(
    name: str, app_protocol: str, number: int, protocol: str
) -> None:
    assert declared(name, app_protocol, number) == protocol
    port = {"name": name, "port": number, **({"appProtocol": app_protocol} if app_protocol else {})}
    assert of_port(port) == protocol
