"""Envoy's choice of a filter chain: one property after the other, and never back."""

from __future__ import annotations

from typing import Any

import pytest

from lab.envoy.matching import Detected, Unreadable, chosen, missed


def chain(name: str, **match: Any) -> dict[str, Any]:
    return {"name": name, "filter_chain_match": match}


DEFAULT = {"name": "default"}


def taken_by(chains: list[dict[str, Any]], **seen: Any) -> str | None:
    detected = Detected(**{"address": "10.0.0.1", "port": 80, **seen})
    found = chosen(chains, DEFAULT, detected)
    return found["name"] if found else None


@pytest.mark.parametrize(
    ("chains", "seen", "expected"),
    [
        ([chain("port", destination_port=80), chain("any")], {}, "port"),
        ([chain("port", destination_port=81), chain("any")], {}, "any"),
        ([chain("port", destination_port=81)], {}, "default"),
        (
            [
                chain("wide", prefix_ranges=[{"address_prefix": "10.0.0.0", "prefix_len": 8}]),
                chain("narrow", prefix_ranges=[{"address_prefix": "10.0.0.1", "prefix_len": 32}]),
            ],
            {},
            "narrow",
        ),
        (
            [chain("elsewhere", prefix_ranges=[{"address_prefix": "10.1.0.0", "prefix_len": 16}])],
            {},
            "default",
        ),
        (
            [chain("exact", server_names=["a.b.c"]), chain("suffix", server_names=["*.b.c"])],
            {"server_name": "A.b.c", "transport": "tls"},
            "exact",
        ),
        (
            [chain("short", server_names=["*.c"]), chain("long", server_names=["*.b.c"])],
            {"server_name": "a.b.c", "transport": "tls"},
            "long",
        ),
        ([chain("tls", transport_protocol="tls"), chain("any")], {}, "any"),
        ([chain("raw", transport_protocol="raw_buffer"), chain("any")], {}, "raw"),
        (
            [chain("h2", application_protocols=["h2"]), chain("http", application_protocols=["x"])],
            {"protocols": ("x", "h2")},
            "http",
        ),
        (
            [chain("local", source_type="SAME_IP_OR_LOOPBACK"), chain("any")],
            {"local": True},
            "local",
        ),
        ([chain("local", source_type="SAME_IP_OR_LOOPBACK"), chain("any")], {}, "any"),
    ],
)
def test_the_most_specific_chain_that_fits_is_taken(
    chains: list[dict[str, Any]], seen: dict[str, Any], expected: str
) -> None:
    assert taken_by(chains, **seen) == expected


def test_a_step_is_not_taken_back_when_a_later_one_leaves_no_chain() -> None:
    chains = [chain("port", destination_port=80, transport_protocol="tls"), chain("any")]
    assert taken_by(chains) == "default"


def test_http_1_0_is_taken_by_no_chain_of_http_1_1() -> None:
    http = chain("http", application_protocols=["http/1.1", "h2c"], transport_protocol="raw_buffer")
    assert taken_by([http], protocols=("http/1.0",)) == "default"
    assert taken_by([http], protocols=("http/1.1",)) == "http"


def test_without_a_default_chain_nothing_takes_it() -> None:
    assert chosen([chain("tls", transport_protocol="tls")], None, Detected("10.0.0.1", 80)) is None


def test_a_match_that_is_not_modelled_is_named_and_not_guessed() -> None:
    with pytest.raises(Unreadable, match=r"'by source' is matched by source_ports"):
        taken_by([chain("by source", source_ports=[1])])


@pytest.mark.parametrize(
    ("match", "seen", "told"),
    [
        ({"transport_protocol": "tls"}, {}, "the chains for it want TLS, and this has no TLS"),
        (
            {"application_protocols": ["http/1.1", "h2c"]},
            {"protocols": ("http/1.0",)},
            "the chains for it want protocol http/1.1 or h2c, and this has http/1.0",
        ),
        (
            {"application_protocols": ["istio"]},
            {},
            "the chains for it want protocol istio, and this has none that is recognized",
        ),
        (
            {"server_names": ["a", "*.b"]},
            {},
            "the chains for it want SNI a or *.b, and this has none",
        ),
        ({"destination_port": 80}, {}, ""),
        ({"destination_port": 81}, {}, ""),
    ],
)
def test_where_no_chain_takes_a_connection_the_last_say_what_they_wanted(
    match: dict[str, Any], seen: dict[str, Any], told: str
) -> None:
    found = missed([chain("one", **match)], Detected("10.0.0.1", 80, **seen))
    assert found == told
