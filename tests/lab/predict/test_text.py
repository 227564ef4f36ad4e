"""A way in words."""

from __future__ import annotations

import pytest

from lab.envoy import sends
from lab.envoy.way import Way, Wire
from lab.predict.text import way_text


@pytest.mark.parametrize(
    ("sending", "told"),
    [
        ("line", "in plaintext"),
        ("tls", "by TLS that is not the mesh's"),
        ("mysql-tls", "in plaintext, and then by TLS of the application's own"),
    ],
)
def test_what_crosses_the_network_is_told(sending: str, told: str) -> None:
    bytes_, _ = sends.sent(sending, "db", "/")
    way = Way(wire=Wire(("10.244.0.3", 3306), bytes_)).ends("arrives", "demo/db", "MySQL")
    assert f" {told}." in way_text(way)
