"""The plane of the configuration, walked: what it says of a call on two proxies' dumps."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lab.envoy import dump, node, services
from lab.envoy.mesh import Mesh, Workload
from lab.model.sending import ANYTHING, Sending
from lab.planes import Seen, walked

DATA = Path(__file__).parents[1] / "envoy" / "data"


def workload(name: str) -> Workload:
    told: Any = json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))
    return node.workload(told, dump.read(told))


@pytest.fixture(scope="module")
def both() -> tuple[Workload, Workload]:
    return workload("client"), workload("httpbin")


def says(both: tuple[Workload, Workload], port: int, sending: Sending) -> Seen:
    client, _ = both
    assert client.proxy
    address = services.named(client.proxy, "httpbin", port, "demo")[1][0]
    mesh = Mesh({one.address: one for one in both}, services.endpoints(client.proxy))
    return walked.says(mesh, client, (address, port), sending)


@pytest.mark.parametrize(
    ("port", "sending", "security", "why"),
    [
        (8000, Sending(("http1.1",), "httpbin"), "mutual_tls", "the application is given HTTP/1.1"),
        (8000, Sending(("http1.0",), "httpbin"), "plaintext", "as it is; "),
        (8000, Sending(("line",), data=b"hello\n"), "plaintext", "as it is; "),
        (8001, Sending(("line",), data=b"hello\n"), "mutual_tls", "bytes that are not HTTP"),
        (8002, Sending(("nothing",)), "none", "it hangs in the client's proxy"),
        (8000, Sending(("http1.1",), "httpbin", headers={"upgrade": "TLS/1.2"}), "none", "403"),
    ],
)
def test_it_says_what_would_cross_and_how_the_call_would_end(
    both: tuple[Workload, Workload], port: int, sending: Sending, security: str, why: str
) -> None:
    said = says(both, port, sending)
    assert (said.security, why in said.why) == (security, True), said


def test_a_command_that_can_send_anything_is_unknown_with_each_possibility(
    both: tuple[Workload, Workload],
) -> None:
    said = says(both, 8002, ANYTHING)
    assert said.security == "unknown"
    assert "none: it hangs in the client's proxy" in said.why
    assert "mutual_tls: " in said.why


def test_on_a_port_of_tcp_all_of_it_is_carried_alike(both: tuple[Workload, Workload]) -> None:
    assert says(both, 8001, Sending(("http1.1", "line"), "httpbin")).security == "mutual_tls"


def test_each_decision_and_its_place_in_the_configuration_are_told(
    both: tuple[Workload, Workload],
) -> None:
    said = says(both, 8000, Sending(("http1.1",), "httpbin"))
    walk = said.facts["walk"]
    assert isinstance(walk, list)
    assert "filter_chains[" in str(said.facts["listener"])
    assert any(one.startswith("server's proxy: filter chain") for one in walk)
