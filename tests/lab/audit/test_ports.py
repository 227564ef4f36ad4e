"""Which clients an audit walks for a port."""

from __future__ import annotations

from lab.audit import ports
from lab.common.port_protocols import AUTO, KNOWN
from lab.envoy import sends


def test_every_protocol_has_clients_that_the_model_can_walk() -> None:
    for protocol in (*KNOWN, "grpc-web", AUTO):
        for name in ports.sends(protocol):
            sends.sent(name, "host", "/")
