"""Which virtual host and which route take a request."""

from __future__ import annotations

from typing import Any

import pytest

from lab.envoy import routes
from lab.envoy.matching import Unreadable
from lab.envoy.routes import Request, VirtualHosts

HOSTS = {
    "virtual_hosts": [
        {"name": "all", "domains": ["*"]},
        {"name": "exact", "domains": ["a.example"]},
        {"name": "suffix", "domains": ["*.example"]},
        {"name": "longer suffix", "domains": ["*.b.example"]},
        {"name": "prefix", "domains": ["a.*"]},
    ]
}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a.example", "exact"),
        ("A.Example", "exact"),
        ("x.example", "suffix"),
        ("x.b.example", "longer suffix"),
        ("a.other", "prefix"),
        ("10.0.0.1", "all"),
        ("a.example:80", "prefix"),
    ],
)
def test_the_host_is_matched_exactly_then_by_suffix_then_by_prefix(
    host: str, expected: str
) -> None:
    found = VirtualHosts(HOSTS).find(host)
    assert found is not None
    assert found["name"] == expected


def test_a_port_in_the_host_is_ignored_where_the_configuration_says_so() -> None:
    found = VirtualHosts({**HOSTS, "ignore_port_in_host_matching": True}).find("a.example:80")
    assert found is not None
    assert found["name"] == "exact"


def test_a_host_that_no_domain_names_has_no_virtual_host() -> None:
    assert VirtualHosts({"virtual_hosts": [{"domains": ["a"]}]}).find("b") is None


def header(**matcher: Any) -> dict[str, Any]:
    return {"prefix": "/", "headers": [{"name": "X-Team", **matcher}]}


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"prefix": "/a"}, True),
        ({"prefix": "/b"}, False),
        ({"path": "/a/b"}, True),
        ({"path": "/A/B", "case_sensitive": False}, True),
        ({"path_separated_prefix": "/a"}, True),
        ({"path_separated_prefix": "/a/"}, False),
        ({"safe_regex": {"regex": "/a/.*"}}, True),
        ({"prefix": "/", "grpc": {}}, False),
        (header(string_match={"exact": "one"}), True),
        (header(string_match={"exact": "two"}), False),
        (header(string_match={"exact": "two"}, invert_match=True), True),
        (header(string_match={"prefix": "ON", "ignore_case": True}), True),
        (header(present_match=True), True),
        ({"prefix": "/", "headers": [{"name": "y", "present_match": True}]}, False),
        ({"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}, True),
    ],
)
def test_a_route_fits_by_path_and_headers(match: dict[str, Any], fits: bool) -> None:
    request = Request("a.example", "/a/b?c=d", "GET", {"x-team": "one"})
    assert (routes.route({"routes": [{"match": match}]}, request) is not None) == fits


@pytest.mark.parametrize(
    "match",
    [
        {"connect_matcher": {}},
        {"prefix": "/", "runtime_fraction": {}},
        {"prefix": "/", "headers": [{"name": "x-team", "range_match": {}}]},
        {"prefix": "/", "headers": [{"name": "x-team", "string_match": {"custom": {}}}]},
    ],
)
def test_a_match_that_is_not_modelled_is_named(match: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="matched by"):
        routes.route({"routes": [{"match": match}]}, Request("a", headers={"x-team": "one"}))
