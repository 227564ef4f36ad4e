"""When a call proves an edge as it was walked, by calls that were recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import audited_worlds
import pytest

from lab.audit import calling, edges
from lab.audit.edges import Edge
from lab.audit.verify import is_as_foretold
from lab.envoy.way import Outcome
from lab.judge.observation import Observation
from lab.model import call_types


def walked(failure: str, sends: str, world: str = "posted", host: str = "httpbin") -> Edge:
    """The edge from the client to a Service in a recorded world."""
    found = edges.walk_all(audited_worlds.world(failure, world)).edges
    return next(
        one
        for one in found
        if one.caller.has_sidecar and one.sends == sends and one.to.host.startswith(f"{host}.")
    )


def observed(failure: str, call: str) -> Observation:
    seen = audited_worlds.world(failure, "posted").case.see(call)
    assert seen is not None
    return seen


@pytest.mark.parametrize(
    ("failure", "sends", "host", "call", "other"),
    [
        # 403 over mutual TLS, and 200 in plaintext
        ("deny_bypassed", "http1.1", "httpbin", "by-service", "by-address"),
        # 503 after TLS that nobody took, and 200
        ("wrong_version_number", "http1.1", "excluded", "excluded", "excluded-stranger"),
    ],
)
def test_a_call_proves_the_edge_that_it_is_of_and_no_other(
    failure: str, sends: str, host: str, call: str, other: str
) -> None:
    edge = walked(failure, sends, host=host)
    assert is_as_foretold(edge, observed(failure, call))
    assert not is_as_foretold(edge, observed(failure, other))


@pytest.mark.parametrize("outcome", ["arrives", "hangs"])
def test_a_call_that_ends_otherwise_proves_nothing(outcome: Outcome) -> None:
    edge = walked("deny_bypassed", "http1.1")
    otherwise = replace(edge, way=edge.way._replace(outcome=outcome))
    assert not is_as_foretold(otherwise, observed("deny_bypassed", "by-service"))


def test_what_crossed_otherwise_proves_nothing() -> None:
    edge = walked("deny_bypassed", "http1.1")
    assert edge.way.wire is not None
    plain = replace(edge, way=edge.way._replace(wire=edge.way.wire._replace(tls=None)))
    assert not is_as_foretold(plain, observed("deny_bypassed", "by-service"))


def test_tls_that_is_answered_in_plaintext_proves_tls_unless_the_client_could_be_read() -> None:
    edge = walked("headless_one_socket", "http1.1", host="web-h")
    answered = observed("headless_one_socket", "by-headless")
    assert answered.wire.security == "mixed"
    assert is_as_foretold(edge, answered)
    others: list[dict[str, Any]] = [{"marker_in_client": 1}, {"first_bytes": b"GET / HTTP/1.1"}]
    for other in others:
        packets = replace(answered.wire.packets, **other)
        otherwise = replace(answered, wire=replace(answered.wire, packets=packets))
        assert not is_as_foretold(edge, otherwise)


def test_only_calls_to_what_has_a_name_can_be_made() -> None:
    found = edges.walk_all(audited_worlds.world("hijacked_port", "posted")).edges
    for edge in found:
        called = calling.command(edge)
        assert bool(called) == (edge.to.kind != "other" and edge.sends != "mysql")


def test_no_call_shows_what_crosses_behind_a_gateway() -> None:
    edge = walked("deny_bypassed", "http1.1")
    assert edge.way.wire is not None
    through = replace(edge, way=edge.way._replace(earlier=(edge.way.wire,)))
    assert calling.command(edge)
    assert not calling.command(through)


def test_each_command_sends_what_its_edge_was_walked_with() -> None:
    edge = walked("deny_bypassed", "http1.1")
    for sends in ("http1.1", "h2", "grpc", "tls", "line", "nothing"):
        told = call_types.sending(calling.command(replace(edge, sends=sends)))
        if sends == "grpc":
            assert (told.names, told.method) == (("h2",), "POST")
            assert told.headers["content-type"] == "application/grpc"
        else:
            assert sends in told.names
