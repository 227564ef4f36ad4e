"""Which listener gets a connection, what its inspectors wait for, and which chain takes it."""

from __future__ import annotations

from typing import Any

import pytest

from lab.envoy import dump, listener
from lab.envoy.first_bytes import HELLO, FirstBytes
from lab.envoy.matching import Unreadable

TLS = {"name": "envoy.filters.listener.tls_inspector"}
HTTP = {"name": "envoy.filters.listener.http_inspector"}
LINE = FirstBytes(b"GET / HTTP/1.1\r\n")


def one(name: str, address: str, port: int, **more: Any) -> dict[str, Any]:
    where = {"socket_address": {"address": address, "port_value": port}}
    return {"name": name, "address": where, "filter_chains": [{"name": "only"}], **more}


def proxy(*listeners: dict[str, Any]) -> dump.Proxy:
    dynamic = [{"active_state": {"listener": each}} for each in listeners]
    return dump.read({"configs": [{"dynamic_listeners": dynamic}]})


ALL = proxy(
    one("virtual", "0.0.0.0", 15001, use_original_dst=True),
    one("wildcard", "0.0.0.0", 80),
    one("exact", "10.0.0.1", 80),
)


@pytest.mark.parametrize(
    ("address", "port", "expected"),
    [("10.0.0.1", 80, "exact"), ("10.0.0.2", 80, "wildcard"), ("10.0.0.2", 81, "virtual")],
)
def test_a_connection_is_handed_to_its_address_then_to_its_port_then_to_none(
    address: str, port: int, expected: str
) -> None:
    found = listener.find(ALL, address, port)
    assert found is not None
    assert found["name"] == expected


def test_a_listener_that_still_warms_up_carries_nothing() -> None:
    warming = {"name": "x", "warming_state": {"listener": one("new", "10.0.0.9", 80)}}
    configs = [{"dynamic_listeners": [warming, {"active_state": {"listener": one("a", "::", 1)}}]}]
    assert ("10.0.0.9", 80) not in dump.read({"configs": configs}).listeners


@pytest.mark.parametrize(
    ("inspectors", "sent", "waits"),
    [
        ([HTTP], FirstBytes(), "http"),
        ([HTTP], FirstBytes(b"GET /"), "http"),
        ([HTTP], LINE, None),
        ([TLS, HTTP], FirstBytes(b"HEL"), "tls"),
        ([TLS, HTTP], FirstBytes(b"GET /"), "http"),
        ([TLS, HTTP], FirstBytes(HELLO, "a", ("h2",)), None),
        ([], FirstBytes(), None),
    ],
)
def test_an_inspector_waits_for_the_bytes_that_it_needs(
    inspectors: list[dict[str, Any]], sent: FirstBytes, waits: str | None
) -> None:
    where = one("x", "0.0.0.0", 80, listener_filters=inspectors, listener_filters_timeout="0s")
    taken = listener.take(where, "10.0.0.1", 80, sent)
    assert (taken.waited.inspector if taken.waited else None) == waits
    assert (taken.chain is None) == (waits is not None)


def test_without_a_time_of_its_own_a_listener_closes_after_fifteen_seconds() -> None:
    taken = listener.take(one("x", "::", 80, listener_filters=[HTTP]), "10.0.0.1", 80, FirstBytes())
    assert taken.waited
    assert (taken.waited.seconds, taken.waited.goes_on) == (15, False)


def test_a_listener_that_goes_on_after_its_time_takes_what_is_known_by_then() -> None:
    more = {"listener_filters_timeout": "2s", "continue_on_listener_filters_timeout": True}
    where = one("x", "0.0.0.0", 80, listener_filters=[HTTP], **more)
    taken = listener.take(where, "10.0.0.1", 80, FirstBytes())
    assert taken.waited
    assert (taken.waited.seconds, taken.waited.goes_on) == (2, True)
    assert taken.chain is not None


@pytest.mark.parametrize(
    ("predicate", "disabled"),
    [
        ({"destination_port_range": {"start": 80, "end": 81}}, True),
        ({"destination_port_range": {"start": 81, "end": 90}}, False),
        ({"not_match": {"destination_port_range": {"start": 81, "end": 90}}}, True),
        ({"any_match": True}, True),
        ({"or_match": {"rules": [{"destination_port_range": {"start": 80, "end": 81}}]}}, True),
    ],
)
def test_an_inspector_that_is_disabled_for_the_port_waits_for_nothing(
    predicate: dict[str, Any], disabled: bool
) -> None:
    where = one("x", "0.0.0.0", 80, listener_filters=[{**HTTP, "filter_disabled": predicate}])
    taken = listener.take(where, "10.0.0.1", 80, FirstBytes())
    assert (taken.waited is None) == disabled


def test_a_predicate_that_is_not_modelled_is_named() -> None:
    where = one("x", "::", 80, listener_filters=[{**HTTP, "filter_disabled": {"other": 1}}])
    with pytest.raises(Unreadable, match="disabled by other"):
        listener.take(where, "10.0.0.1", 80, LINE)


def test_the_place_of_a_decision_is_the_chains_in_envoys_configuration() -> None:
    where = one("x", "0.0.0.0", 80, default_filter_chain={"name": "rest"})
    where["filter_chains"] = [{"filter_chain_match": {"destination_port": 1}}]
    assert listener.take(where, "10.0.0.1", 80, LINE).place == "listener x, default_filter_chain"
    assert listener.take(where, "10.0.0.1", 1, LINE).place == "listener x, filter_chains[0]"
