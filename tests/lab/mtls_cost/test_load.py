"""The commands of a load, what fortio says of it, and which rate is asked."""

from __future__ import annotations

import json

import pytest

from lab.common.errors import CommandFailed
from lab.mtls_cost import edges, load, measure
from lab.mtls_cost.variants import measured, of

TOLD = {
    "code": 0,
    "cpu_seconds": 1.25,
    "said": "",
    "result": {
        "ActualQPS": 99.5,
        "RetCodes": {"200": 390, "503": 8, "-1": 2},
        "DurationHistogram": {
            "Count": 400,
            "Percentiles": [
                {"Percentile": 50, "Value": 0.001},
                {"Percentile": 99, "Value": 0.004},
            ],
        },
    },
}


def test_what_was_not_answered_is_counted() -> None:
    found = load.read(json.dumps(TOLD).encode())
    assert (found.requests, found.failed, found.cpu) == (400, 10, 1.25)
    assert found.latency == {"50": 0.001, "99": 0.004}


def test_a_load_that_was_not_made_is_an_error_with_fortios_words() -> None:
    told = {**TOLD, "result": None, "code": 1, "said": "connection refused"}
    with pytest.raises(CommandFailed, match=r"code 1.*connection refused"):
        load.read(json.dumps(told).encode())


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("http/mtls", ["http://mtls:8120/"]),
        ("http/own-tls", ["-mtls", "https://own-tls:8130/"]),
        ("grpc/no-sidecar", ["-grpc", "-ping", "no-sidecar:8101"]),
        ("grpc/own-tls", ["-cacert=/etc/own-tls/ca.pem", "own-tls:8131"]),
        ("tcp/plaintext", ["tcp://plaintext:8112"]),
        ("connections/mtls", ["-keepalive=false", "http://mtls:8123/"]),
    ],
)
def test_each_load_is_sent_to_its_variants_own_port(key: str, words: list[str]) -> None:
    argv = load.command(of(key), rate=100, seconds=4)
    assert [word for word in words if word not in argv] == []
    assert ("-mtls" in argv) is of(key).variant.own_tls


def test_every_load_is_bounded() -> None:
    for one in measured():
        assert any(word.startswith("-t=") for word in load.command(one, rate=0, seconds=2))
        assert "-n=4" in load.command(one, rate=0, count=4)


def test_one_rate_is_asked_of_all_variants_of_a_load_below_half_of_the_slowest() -> None:
    highest = {one.key: 5000.0 for one in measured()}
    highest["http/own-tls-in-mtls"] = 1234.0
    assert measure.asked(highest) == {
        "http": 490.0,
        "grpc": 1000.0,
        "tcp": 1000.0,
        "connections": 1000.0,
    }


def test_no_two_services_share_a_port_and_each_pod_serves_all_of_its_own() -> None:
    world = edges.world()
    numbers = [port.number for service in world.services for port in service.ports]
    assert len(numbers) == len(set(numbers)) == len(measured())
    for service in world.services:
        server = next(one for one in world.variants if one.name == service.workload)
        for port in service.ports:
            assert f"-port={port.number}" in server.args[0]
