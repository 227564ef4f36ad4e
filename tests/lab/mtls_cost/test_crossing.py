"""What crossed, read from captures of known kinds; and variants that are not what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.common.errors import LabError
from lab.mtls_cost import crossing
from lab.mtls_cost.measurement import Crossed
from lab.mtls_cost.variants import of
from lab.packets import pcap

CAPTURES = Path(__file__).parents[2] / "captures"


@pytest.mark.parametrize(
    ("file", "security"),
    [("plain.pcap", "plaintext"), ("tls13.pcap", "tls"), ("tls12.pcap", "tls")],
)
def test_what_crossed_is_read_from_the_packets(file: str, security: str) -> None:
    assert crossing.read(CAPTURES / file).security == security


def test_connections_that_are_not_alike_are_an_error() -> None:
    both = [
        one
        for file in ("plain.pcap", "tls13.pcap")
        for one in pcap.connections(pcap.read(CAPTURES / file))
    ]
    with pytest.raises(LabError, match="not alike"):
        crossing.of(both)


MESH, OWN = Crossed("tls", ("istio",)), Crossed("tls", ("h2",))
PLAIN = Crossed("plaintext")


@pytest.mark.parametrize(
    ("key", "seen"),
    [
        ("http/plaintext", PLAIN),
        ("http/no-sidecar", PLAIN),
        ("http/mtls", MESH),
        ("grpc/own-tls", OWN),
        ("grpc/own-tls-in-mtls", MESH),
    ],
)
def test_a_variant_is_what_it_is_called(key: str, seen: Crossed) -> None:
    assert crossing.expected(of(key), seen) == seen
    for other in {PLAIN, MESH, OWN} - {seen}:
        with pytest.raises(LabError, match=f"{key} is to be"):
            crossing.expected(of(key), other)
