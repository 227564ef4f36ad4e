"""Walks through a gateway's configuration, as istiod 1.31 had sent it, to the server behind it.

data/table-*.json.gz are the dumps of a gateway, of a caller's and of the server's sidecar under
STRICT, of a run of the truth table with one cell for each server of the gateway; without access
logs, secrets and what these calls do not pass. Each answer was measured there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lab.envoy import dump, node, sends, walk
from lab.envoy.mesh import Address, Mesh, Workload
from lab.envoy.way import Flow, Way
from tests.lab.envoy.test_walk import find, stored

PORTS = {"http": 28000, "tcp": 28029, "simple-http": 28005, "simple-tcp": 28028, "mutual": 28002,
         "passthrough": 28026, "istio-mutual": 28024}  # fmt: skip
NAMES = {name: f"t{port - 28000}.lab.example" for name, port in PORTS.items()}
AUTHORITY = "file-root:/etc/own-tls/ca.pem"
OUTSIDE = Workload("a client outside the mesh", "192.0.2.1")
IN_FRONT: Address = ("10.96.119.190", PORTS["istio-mutual"])
"""The ClusterIP of the gateway's own Service."""


def workload(content: Any) -> Workload:
    return node.workload(content, dump.read(content))


def ways(
    gateway: Any,
    server: str,
    sending: str,
    within: str = "",
    *,
    name: str | None = None,
    known: frozenset[str] = frozenset((AUTHORITY,)),
) -> list[Way]:
    """Every way of a call to a server of the gateway, by a client outside the mesh."""
    through, behind = workload(gateway), workload(stored("table-server"))
    mesh = Mesh({one.address: one for one in (through, behind)}, client_authorities=known)
    host = NAMES[server] if name is None else name
    sent = sends.sent(sending, host, "/")
    if within:
        sent = sends.within_tls(sent, host, certificate=within == "mutual-tls")
    return walk.ways(mesh, OUTSIDE, Flow((through.address, PORTS[server]), *sent))


def way(server: str, sending: str, within: str = "", **more: Any) -> Way:
    (found,) = ways(stored("table-gateway"), server, sending, within, **more)
    return found


def legs(one: Way) -> tuple[str, str]:
    """What crosses to the gateway, and from there."""
    before = one.earlier[0].security if one.earlier else "nothing"
    return before, one.wire.security if one.wire else "nothing"


@pytest.mark.parametrize(
    ("server", "within", "sending", "given", "crosses"),
    [
        ("http", "", "http1.1", "HTTP/1.1", ("plaintext", "mutual_tls")),
        ("http", "", "h2", "HTTP/1.1", ("plaintext", "mutual_tls")),
        ("tcp", "", "http1.0", "HTTP/1.0", ("plaintext", "mutual_tls")),
        ("tcp", "", "tls", "TLS", ("tls", "mutual_tls")),
        ("tcp", "", "nothing", "no bytes", ("plaintext", "mutual_tls")),
        ("simple-http", "tls", "http1.1", "HTTP/1.1", ("tls", "mutual_tls")),
        ("simple-tcp", "tls", "line", "bytes that are not HTTP", ("tls", "mutual_tls")),
        ("mutual", "mutual-tls", "http1.1", "HTTP/1.1", ("tls", "mutual_tls")),
        ("passthrough", "", "tls", "TLS", ("tls", "mutual_tls")),
        ("passthrough", "tls", "http1.1", "TLS", ("tls", "mutual_tls")),
    ],
)
def test_a_call_through_a_gateway_arrives_as_it_was_measured_to(
    server: str, within: str, sending: str, given: str, crosses: tuple[str, str]
) -> None:
    found = way(server, sending, within)
    assert (found.outcome, found.detail, legs(found)) == ("arrives", given, crosses)


@pytest.mark.parametrize(
    ("server", "within", "sending", "outcome", "detail"),
    [
        ("http", "", "http1.0", "answered by a proxy", "low_version"),
        ("http", "", "tls", "answered by a proxy", "http1.codec_error"),
        ("http", "", "nothing", "hangs", "it reads requests, and waits for a whole one"),
        ("simple-http", "tls", "line", "answered by a proxy", "http1.codec_error"),
        ("simple-http", "", "http1.1", "refused", "filter_chain_not_found"),
        ("simple-http", "", "nothing", "refused",
         "its tls inspector waits for bytes, and closes after 15 s"),
        ("mutual", "tls", "http1.1", "refused", "tls_client_certificate_required"),
        ("passthrough", "", "http1.1", "refused", "filter_chain_not_found"),
        ("istio-mutual", "mutual-tls", "line", "refused", "tls_untrusted_issuer"),
        ("istio-mutual", "tls", "line", "refused", "tls_client_certificate_required"),
    ],
)  # fmt: skip
def test_a_gateway_ends_a_call_as_it_was_measured_to(
    server: str, within: str, sending: str, outcome: str, detail: str
) -> None:
    for found in ways(stored("table-gateway"), server, sending, within):
        assert (found.outcome, found.by, found.detail) == (outcome, "gateway", detail)


def test_a_gateway_may_call_the_server_before_the_clients_handshake_fails() -> None:
    found = ways(stored("table-gateway"), "istio-mutual", "line", "tls")
    assert [legs(one) for one in found] == [("tls", "nothing"), ("tls", "mutual_tls")]
    assert sum(one.share for one in found) == 1
    (reading,) = ways(stored("table-gateway"), "mutual", "http1.1", "tls")
    assert legs(reading) == ("tls", "nothing")


def test_another_name_in_sni_or_host_is_not_the_servers() -> None:
    other = way("simple-http", "http1.1", "tls", name="elsewhere.example")
    assert (other.outcome, other.flag) == ("refused", "NR")
    unrouted = way("http", "http1.1", name="elsewhere.example")
    assert (unrouted.status, unrouted.detail) == (404, "route_not_found")


def test_a_port_that_no_server_has_is_refused_before_anything_crosses() -> None:
    gateway = workload(stored("table-gateway"))
    mesh = Mesh({gateway.address: gateway})
    (found,) = walk.ways(mesh, OUTSIDE, Flow((gateway.address, 1), *sends.sent("line", "x", "/")))
    assert (found.outcome, found.by, legs(found)) == ("refused", "gateway", ("nothing", "nothing"))


def test_a_sidecar_calls_a_gateways_service_by_the_meshs_tls_where_a_rule_says_so() -> None:
    caller, gateway, server = (
        workload(stored(f"table-{name}")) for name in ("client", "gateway", "server")
    )
    mesh = Mesh(
        {one.address: one for one in (caller, gateway, server)},
        {IN_FRONT: [(gateway.address, IN_FRONT[1])]},
    )
    (found,) = walk.ways(mesh, caller, Flow(IN_FRONT, *sends.sent("line", "x", "/")))
    assert (found.outcome, legs(found)) == ("arrives", ("mutual_tls", "mutual_tls"))
    assert [one.where for one in found.steps].count("gateway") == 3


def test_nothing_calls_from_a_gateways_own_pod() -> None:
    gateway = workload(stored("table-gateway"))
    mesh = Mesh({gateway.address: gateway})
    (found,) = walk.ways(mesh, gateway, Flow(("192.0.2.9", 80), *sends.sent("line", "x", "/")))
    assert found.outcome == "unknown"
    assert "nothing in its pod calls" in found.unknown


def listening(gateway: Any, server: str) -> Any:
    return find(gateway, "name", f"0.0.0.0_{PORTS[server]}", "filter_chains")


def context(gateway: Any, server: str) -> Any:
    (chain,) = listening(gateway, server)["filter_chains"]
    return chain["transport_socket"]["typed_config"]


def virtual_host(gateway: Any, server: str) -> Any:
    return find(gateway, "name", f"{NAMES[server]}:{PORTS[server]}", "domains")


def another_name(gateway: Any) -> None:
    (chain,) = listening(gateway, "simple-http")["filter_chains"]
    chain["filter_chain_match"]["server_names"] = ["shop.example"]


def without_tls(gateway: Any) -> None:
    (chain,) = listening(gateway, "simple-http")["filter_chains"]
    del chain["transport_socket"]


def with_certificates(gateway: Any) -> None:
    context(gateway, "simple-http")["require_client_certificate"] = True


def other_domain(gateway: Any) -> None:
    virtual_host(gateway, "simple-http")["domains"] = ["shop.example"]


def to_nobody(gateway: Any) -> None:
    cluster = virtual_host(gateway, "simple-http")["routes"][0]["route"]["cluster"]
    find(gateway, "cluster_name", cluster)["endpoints"] = []


@pytest.mark.parametrize(
    ("change", "outcome", "status", "detail"),
    [
        (another_name, "refused", 0, "filter_chain_not_found"),
        (without_tls, "answered by a proxy", 400, "http1.codec_error"),
        (with_certificates, "refused", 0, "tls_client_certificate_required"),
        (other_domain, "answered by a proxy", 404, "route_not_found"),
        (to_nobody, "refused", 503, "no_healthy_upstream"),
    ],
)
def test_a_change_in_the_gateways_dump_changes_the_prediction(
    change: Callable[[Any], None], outcome: str, status: int, detail: str
) -> None:
    assert way("simple-http", "http1.1", "tls").outcome == "arrives"
    gateway = copy.deepcopy(stored("table-gateway"))
    change(gateway)
    (found,) = ways(gateway, "simple-http", "http1.1", "tls")
    assert (found.outcome, found.by) == (outcome, "gateway")
    assert (found.status, found.detail) == (status, detail)


def test_a_redirect_to_https_is_for_requests_that_came_without_tls() -> None:
    gateway = copy.deepcopy(stored("table-gateway"))
    for server in ("http", "simple-http"):
        virtual_host(gateway, server)["require_tls"] = "ALL"
    virtual_host(gateway, "http")["routes"] = []  # as istiod sends a host that no route names
    (plain,) = ways(gateway, "http", "http1.1")
    (secure,) = ways(gateway, "simple-http", "http1.1", "tls")
    assert (plain.outcome, plain.status) == ("redirected", 301)
    assert plain.detail == "direct_response to https://t0.lab.example/"
    assert secure.outcome == "arrives"


def test_without_a_timeout_a_gateway_waits_as_a_sidecar_does() -> None:
    gateway = copy.deepcopy(stored("table-gateway"))
    listening(gateway, "passthrough")["listener_filters_timeout"] = "0s"
    (found,) = ways(gateway, "passthrough", "nothing")
    assert (found.outcome, found.by) == ("hangs", "gateway")


def proxy_protocol(gateway: Any) -> None:
    listener = listening(gateway, "simple-http")
    listener["listener_filters"].insert(0, {"name": "envoy.filters.listener.proxy_protocol"})


def by_sni_alone(gateway: Any) -> None:
    route = virtual_host(gateway, "simple-http")["routes"][0]["route"]
    renamed = route["cluster"].replace("outbound|", "outbound_.").replace("||", "_._.")
    find(gateway, "name", route["cluster"], "type")["name"] = route["cluster"] = renamed


@pytest.mark.parametrize(
    ("change", "said"), [(proxy_protocol, "proxy_protocol"), (by_sni_alone, "AUTO_PASSTHROUGH")]
)
def test_what_is_not_modelled_of_a_gateway_is_unknown_and_named(
    change: Callable[[Any], None], said: str
) -> None:
    gateway = copy.deepcopy(stored("table-gateway"))
    change(gateway)
    (found,) = ways(gateway, "simple-http", "http1.1", "tls")
    assert found.outcome == "unknown"
    assert said in found.unknown


def test_whom_a_file_of_authorities_vouches_for_is_unknown_unless_it_is_told() -> None:
    found = way("mutual", "http1.1", "mutual-tls", known=frozenset())
    assert found.outcome == "unknown"
    assert AUTHORITY in found.unknown


def test_what_is_inside_a_clients_tls_is_unknown_unless_it_is_told() -> None:
    assert way("simple-http", "tls").unknown == (
        "what a client of its own TLS sends inside is not known"
    )


def test_http2_that_alpn_agreed_on_is_believed_whatever_comes() -> None:
    gateway = stored("table-gateway")
    through = workload(gateway)
    mesh = Mesh({through.address: through})
    sent, request = sends.within_tls(
        sends.sent("http1.1", NAMES["simple-http"], "/"), NAMES["simple-http"], certificate=False
    )
    flow = Flow((through.address, PORTS["simple-http"]), replace(sent, alpn=("h2",)), request)
    (found,) = walk.ways(mesh, OUTSIDE, flow)
    assert (found.outcome, found.by) == ("refused", "gateway")
    assert "HTTP/2 was agreed" in found.detail


def test_bytes_that_are_handed_on_to_a_port_named_http2_are_taken_for_http2() -> None:
    """The cluster of such a port offers h2, and the server's proxy believes it."""
    gateway = copy.deepcopy(stored("table-gateway"))
    routed = virtual_host(gateway, "http")["routes"][0]["route"]["cluster"]
    (chain,) = listening(gateway, "tcp")["filter_chains"]
    proxy = next(one for one in chain["filters"] if "cluster" in one["typed_config"])
    proxy["typed_config"]["cluster"] = routed
    (before,) = ways(gateway, "tcp", "http1.1")
    assert (before.outcome, before.detail) == ("arrives", "HTTP/1.1")
    cluster = find(gateway, "name", routed, "type")
    for match in cluster["transport_socket_matches"]:
        if "typed_config" in match["transport_socket"]:
            common = match["transport_socket"]["typed_config"].get("common_tls_context", {})
            common["alpn_protocols"] = ["istio", "h2"]
    (after,) = ways(gateway, "tcp", "http1.1")
    assert (after.outcome, after.by) == ("refused", "server's proxy")
    assert "HTTP/2 was agreed" in after.detail


def test_what_speaks_first_is_heard_through_a_gateway_whose_rule_refuses_the_caller() -> None:
    gateway = copy.deepcopy(stored("table-gateway"))
    (chain,) = listening(gateway, "tcp")["filter_chains"]
    kind = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"
    everybody = {"permissions": [{"any": True}], "principals": [{"any": True}]}
    rules = {"action": "DENY", "policies": {"everybody": everybody}}
    chain["filters"].insert(0, {"name": "rbac", "typed_config": {"@type": kind, "rules": rules}})
    (silent,) = ways(gateway, "tcp", "nothing")
    (speaking,) = ways(gateway, "tcp", "line")
    assert (silent.outcome, silent.detail) == ("arrives", "no bytes")
    assert (speaking.outcome, speaking.by) == ("refused", "gateway")


def leading_to(gateway: Any, own: str, other: str) -> Workload:
    """A gateway at an address of its own, whose TCP server leads to another gateway's."""
    changed = copy.deepcopy(gateway)
    bootstrap = next(one["bootstrap"] for one in changed["configs"] if "bootstrap" in one)
    bootstrap["node"]["id"] = f"router~{own}~gateway-x.demo~demo.svc.cluster.local"
    (chain,) = listening(changed, "tcp")["filter_chains"]
    proxy = next(one for one in chain["filters"] if "cluster" in one["typed_config"])
    assignment = find(changed, "cluster_name", proxy["typed_config"]["cluster"])
    end = find(assignment, "port_value", 21029)
    end |= {"address": other, "port_value": PORTS["tcp"]}
    for one in assignment["endpoints"][0]["lb_endpoints"]:
        one.pop("metadata", None)
    return workload(changed)


def test_gateways_that_hand_a_call_round_are_unknown_and_end() -> None:
    one, other = ("10.244.1.1", "10.244.1.2")
    gateways = [leading_to(stored("table-gateway"), *each) for each in ((one, other), (other, one))]
    mesh = Mesh({gateway.address: gateway for gateway in gateways})
    flow = Flow((one, PORTS["tcp"]), *sends.sent("line", "x", "/"))
    (found,) = walk.ways(mesh, OUTSIDE, flow)
    assert found.outcome == "unknown"
    assert "more than 4 gateways" in found.unknown
