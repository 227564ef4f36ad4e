"""A call's hops: who stands at their ends, how each was secured, and whose TLS it is."""

from __future__ import annotations

import pytest
import recordings

from lab.judge import hops
from lab.judge.hops import Hop
from lab.planes import capture_file


def of(name: str, call: str) -> tuple[Hop, ...]:
    return hops.hops_of_call(recordings.case(name), call)


@pytest.mark.parametrize(
    ("name", "call", "told"),
    [
        (
            "tcp_mtls",
            "tcp-foo",
            [
                ("client's application", "client's sidecar", "plaintext", 2),
                ("client's sidecar", "tcp-echo's sidecar", "mutual_tls", 0),
                ("tcp-echo's sidecar", "tcp-echo's application", "plaintext", 2),
            ],
        ),
        (
            "tcp_mtls",
            "udp-foo-strict",
            [
                ("client's application", "client's sidecar", "plaintext", 1),
                ("client's sidecar", "tcp-echo's sidecar", "plaintext", 1),
                ("tcp-echo's sidecar", "tcp-echo's application", "none", 0),
            ],
        ),
        (
            "tcp_mtls",
            "plain-stranger",
            [
                ("stranger's application", "tcp-echo's sidecar", "plaintext", 1),
                ("tcp-echo's sidecar", "tcp-echo's application", "none", 0),
            ],
        ),
        (
            "tcp_mtls",
            "mesh-certificate",
            [
                ("member's application", "member's sidecar", "none", 0),
                ("member's application", "tcp-echo's sidecar", "mutual_tls", 0),
                ("tcp-echo's sidecar", "tcp-echo's application", "plaintext", 2),
            ],
        ),
        (
            "tcp_mtls",
            "gateway-plain:changed",
            [
                ("client's application", "client's sidecar", "plaintext", 2),
                ("client's sidecar", "gateway", "plaintext", 2),
                ("gateway", "tcp-echo's sidecar", "mutual_tls", 0),
                ("tcp-echo's sidecar", "tcp-echo's application", "plaintext", 2),
            ],
        ),
        (
            "grpc_h2c",
            "tls-upgrade",
            [
                ("client's application", "client's sidecar", "plaintext", 1),
                ("client's sidecar", "grpcbin's sidecar", "none", 0),
                ("grpcbin's sidecar", "grpcbin's application", "unknown", 0),
            ],
        ),
        (
            "https_in_mtls",
            "exclude-port:changed",
            [
                ("a's application", "a's sidecar", "tls", 0),
                ("a's sidecar", "b's application", "tls", 0),
                ("b's sidecar", "b's application", "unknown", 0),
            ],
        ),
    ],
)
def test_a_call_has_these_hops(name: str, call: str, told: list[tuple[str, str, str, int]]) -> None:
    found = [(str(h.sender), str(h.receiver), h.security, h.marker_count) for h in of(name, call)]
    assert found == told


@pytest.mark.parametrize(
    ("call", "notes"),
    [
        ("https", ["passed on as it is", "not the mesh's", ""]),
        ("tcp-name:changed", ["inside the sidecars'", "is inside it", "inside the sidecars'"]),
        ("exclude-port:changed", ["passed on as it is", "not the mesh's", ""]),
        ("originate:changed", ["", "", ""]),
        ("http", ["", "", ""]),
        ("no-certificate", ["spoken by the application itself", ""]),
    ],
)
def test_whose_tls_it_is_is_told_by_its_hello(call: str, notes: list[str]) -> None:
    found = [hop.note for hop in of("https_in_mtls", call)]
    for note, ending in zip(found, notes, strict=True):
        assert note.endswith(ending)
        assert bool(note) == bool(ending)


def test_no_hop_between_pods_is_called_mutual_that_the_case_does_not_call_so() -> None:
    for name in ("tcp_mtls", "https_in_mtls", "grpc_h2c", "rest_mtls"):
        for call in recordings.case(name).calls:
            for hop in of(name, call):
                assert hop.between_pods or hop.security != "mutual_tls"


def test_a_call_to_the_api_server_and_one_that_was_not_made_have_none() -> None:
    assert of("rest_mtls", "rule") == ()


def test_a_redirected_connection_is_one_with_its_answers_and_says_whom_it_asked() -> None:
    tap = of("tcp_mtls", "tcp-foo")[0].tap
    assert tap.connection
    assert tap.capture
    assert tap.connection.server == capture_file.REDIRECTED
    assert tap.connection.whole
    service = recordings.case("tcp_mtls").evidence.worlds["posted"].services["tcp-echo"]
    assert capture_file.address_asked(tap.capture, tap.connection) == (service.cluster_ip, 9000)


def test_both_pods_saw_the_same_connection_between_them() -> None:
    taps = of("tcp_mtls", "tcp-foo")[1].taps
    assert [(tap.pod, tap.interface) for tap in taps] == [("client", "eth0"), ("tcp-echo", "eth0")]
    one, other = (tap.connection for tap in taps)
    assert one
    assert other
    assert one.sent("client") == other.sent("client")
    assert one is not other
