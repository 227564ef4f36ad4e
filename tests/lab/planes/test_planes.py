"""Configuration and logs as planes: intent is no witness, and sources are counted, not planes."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import recordings

from lab.judge.planes import read_witnesses
from lab.model import evidence, store
from lab.planes import Security, Seen, agreement, config, log
from lab.planes.config import Route


@pytest.mark.parametrize(
    ("name", "call", "meant"),
    [
        ("tcp_mtls", "tcp-foo", "mutual_tls"),
        ("tcp_mtls", "udp-foo", "plaintext"),
        ("tcp_mtls", "plain", "plaintext"),
        ("tcp_mtls", "tcp-name:broken", "plaintext"),
        ("tcp_mtls", "tcp-name:changed", "mutual_tls"),
        ("tcp_mtls", "tcp-name:restored", "plaintext"),
        ("tcp_mtls", "gateway-plain:changed", "plaintext"),
        ("tcp_mtls", "gateway-mutual:changed", "mutual_tls"),
        ("tcp_mtls", "gateway-mutual:changed/2", "mutual_tls"),
        ("rest_mtls", "auto-get", "mutual_tls"),
        ("https_in_mtls", "https", "tls"),
        ("https_in_mtls", "originate:changed", "tls"),
    ],
)
def test_the_control_plane_means_what_was_then_seen(name: str, call: str, meant: str) -> None:
    seen = recordings.case(name).see(call)
    assert seen
    assert seen.config.security == meant, seen.config.why


def views() -> tuple[dict[str, Any], dict[str, Any], Route]:
    folder = store.RECORDED / "tcp_mtls"
    client, server = (
        json.loads((folder / "config" / f"posted-{pod}.json").read_text())
        for pod in ("client", "tcp-echo")
    )
    world = evidence.load(folder).worlds["posted"]
    host = f"tcp-echo.{world.namespace}.svc.cluster.local"
    return client, server, Route(host, 9000, world.services["tcp-echo"].cluster_ip, 9000, "bytes")


def test_mutual_tls_is_only_meant_where_every_tls_chain_demands_a_certificate() -> None:
    client, server, route = views()
    assert config.says(client, server, route).security == "mutual_tls"
    lenient = copy.deepcopy(server)
    for chain in lenient["inbound"]["9000"]:
        chain["transport_socket"]["require_client_certificate"] = False
    seen = config.says(client, lenient, route)
    assert seen.security == "unknown"
    assert "permits both" in seen.why


def test_auto_mtls_is_what_all_endpoints_are_labelled_for() -> None:
    client, server, route = views()
    cluster = client["clusters"][route.cluster]
    cluster["transport_socket_matches"] = [cluster.pop("transport_socket")]
    endpoints = client["endpoints"][route.cluster]
    assert config.says(client, server, route).security == "mutual_tls"
    endpoints.append({**endpoints[0], "tlsMode": ""})
    assert config.says(client, server, route).security == "unknown"
    endpoints[0]["tlsMode"] = ""
    assert config.says(client, server, route).security == "plaintext"


def seen(source: str, security: Security) -> Seen:
    return Seen("plane", source, security, "")


@pytest.mark.parametrize(
    ("planes", "told"),
    [
        (("tls", "mutual_tls", "mutual_tls"), "3 of 3 sources agree"),
        (("tls", "unknown", "mutual_tls"), "2 of 2 sources agree"),
        (("plaintext", "mutual_tls", "unknown"), "1 of 2 sources agree; server says mutual_tls"),
        (("unknown", "mutual_tls", "mutual_tls"), "the packets cannot say"),
    ],
)
def test_agreement_counts_sources_that_can_say(planes: tuple[Security, ...], told: str) -> None:
    sources = ("packets", "server", "control plane")
    assert agreement([seen(*one) for one in zip(sources, planes, strict=True)]) == told


def test_a_source_does_not_agree_with_itself() -> None:
    assert agreement([seen("packets", "none")] * 4) == "1 of 1 sources agree"
    of = recordings.case("rest_mtls")
    shown = of.see("old-policy")
    assert shown
    said = read_witnesses(of, shown)
    assert agreement(said) == "1 of 1 sources agree"
    assert len({one.source for one in said}) == 4


def test_two_planes_of_one_source_are_one_voice() -> None:
    planes = [seen("packets", "tls"), seen("server", "tls"), seen("server", "mutual_tls")]
    assert agreement(planes) == "2 of 2 sources agree"


@pytest.mark.parametrize(
    ("line", "took"),
    [
        ({"downstream_tls_version": "TLSv1.3", "downstream_peer_uri_san": "x"}, "mutual_tls"),
        ({"downstream_tls_version": "TLSv1.3"}, "tls"),
        ({}, "plaintext"),
        ({"downstream_transport_failure_reason": "TLS_error:|HTTP_REQUEST"}, "plaintext"),
        ({"downstream_transport_failure_reason": "CERTIFICATE_VERIFY_FAILED",
          "downstream_peer_uri_san": "spiffe://x", "downstream_tls_version": "TLSv1.3"}, "tls"),
        # The caller hung up: what the transport failed at was no handshake.
        ({"downstream_transport_failure_reason": "Broken_pipe", "bytes_received": 517,
          "downstream_peer_uri_san": "spiffe://x", "downstream_tls_version": "TLSv1.3"},
         "mutual_tls"),
        ({"downstream_transport_failure_reason": 0,
          "downstream_peer_uri_san": "spiffe://x", "downstream_tls_version": "TLSv1.3"}, "unknown"),
        ({"response_code_details": "filter_chain_not_found", "requested_server_name": "b"}, "tls"),
    ],
)  # fmt: skip
def test_the_servers_proxy_took_a_connection_for_what_its_line_says(
    line: dict[str, Any], took: str
) -> None:
    assert log.server_says({**line, log.NUMBER: 1}).security == took


def test_of_a_request_that_was_tried_again_the_last_attempt_is_meant() -> None:
    tried = [
        {"request_id": "r", "downstream_remote_address": f"10.0.0.1:{port}", log.NUMBER: port}
        for port in (1, 2, 3)
    ]
    assert log.find(tried, request_id="r", address="") == tried[2]
    assert log.find(tried, request_id="r", address="10.0.0.1:2") == tried[1]
    assert log.find(tried, request_id="other", address="10.0.0.1:1") == tried[0]
    assert log.find(tried, request_id="other", address="10.0.0.9:1") is None


def test_of_grpcurls_two_requests_with_one_id_the_one_that_was_typed_is_the_calls() -> None:
    asked = {"request_id": "r", "path": "/shop.Orders/Get"}
    reflection = {"request_id": "r", "path": "/grpc.reflection.v1.ServerReflection/Info"}
    lines = [asked, reflection]
    assert log.find(lines, request_id="r", address="", path="/shop.Orders/Get") == asked
    assert log.find(lines, request_id="r", address="", path="/rewritten") == reflection


def test_of_an_address_that_was_used_twice_the_line_of_the_calls_own_time_is_meant() -> None:
    lines = [
        {
            "start_time": f"2026-11-25T04:00:0{second}.000Z",
            "downstream_remote_address": "10.0.0.1:1",
            "upstream_local_address": "10.0.0.1:2",
        }
        for second in (1, 5)
    ]
    first, later = (log.began(line) for line in lines)
    assert first
    assert later
    for until, meant in ((first + 1, lines[0]), (later, lines[1]), (first - 9, lines[1])):
        assert log.find(lines, request_id="", address="10.0.0.1:1", until=until) == meant
        assert log.sent_from(lines, "10.0.0.1:2", until) == meant
