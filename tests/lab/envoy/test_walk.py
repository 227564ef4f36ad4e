"""Walks through two proxies' configurations, as istiod 1.31 had sent them to a client and httpbin.

data/*.json.gz are their config dumps, without access logs, tracing and secrets. Service httpbin has
the ports http 8000, tcp-x 8001, foo 8002 and grpc 8003; headless has tcp 8080; greet's and plain's
pods have no dump. What each call does was seen on the same cluster.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab.common.errors import BadEvidence
from lab.envoy import dump, node, sends, services, walk
from lab.envoy.mesh import Mesh
from lab.envoy.way import Flow, Way

DATA = Path(__file__).with_name("data")


@cache
def stored(name: str) -> Any:
    return json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))


def ways(
    client: Any, server: Any, host: str, port: int, sending: str, at: str | None = None
) -> list[Way]:
    """Every way of a call from the pod of one dump to a host, or to an address."""
    caller = node.workload(client, dump.read(client))
    other = node.workload(server, dump.read(server))
    assert caller.proxy
    known = services.endpoints(caller.proxy)
    mesh = Mesh({one.address: one for one in (caller, other)}, known)
    bytes_, request = sends.sent(sending, host, "/")
    address = at or services.named(caller.proxy, host, port, "demo")[1][0]
    return walk.ways(mesh, caller, Flow((address, port), bytes_, request))


def way(host: str, port: int, sending: str) -> Way:
    found = ways(stored("client"), stored("httpbin"), host, port, sending)
    assert len(found) == 1
    return found[0]


def crosses(one: Way) -> str:
    return one.wire.security if one.wire else "nothing"


@pytest.mark.parametrize(
    ("port", "sending", "outcome", "detail", "security"),
    [
        (8000, "http1.1", "arrives", "HTTP/1.1", "mutual_tls"),
        (8000, "http1.0", "arrives", "HTTP/1.0", "plaintext"),
        (8000, "h2", "arrives", "HTTP/1.1", "mutual_tls"),
        (8000, "websocket", "arrives", "HTTP/1.1", "mutual_tls"),
        (8000, "upgrade-h2c", "arrives", "HTTP/1.1", "mutual_tls"),
        (8000, "upgrade-tls", "answered by a proxy", "upgrade_failed", "nothing"),
        (8000, "tls", "arrives", "TLS", "tls"),
        (8000, "line", "arrives", "bytes that are not HTTP", "plaintext"),
        (8000, "nothing", "hangs", "its http inspector waits for bytes", "nothing"),
        (8000, "half-line", "hangs", "its http inspector waits for bytes", "nothing"),
        (8000, "three-bytes", "hangs", "its tls inspector waits for bytes", "plaintext"),
        (8001, "http1.0", "arrives", "HTTP/1.0", "mutual_tls"),
        (8001, "tls", "arrives", "TLS", "mutual_tls"),
        (8001, "upgrade-tls", "arrives", "HTTP/1.1", "mutual_tls"),
        (8001, "nothing", "arrives", "no bytes", "mutual_tls"),
        (8002, "http1.1", "arrives", "HTTP/1.1", "mutual_tls"),
        (8002, "h2", "arrives", "HTTP/2", "mutual_tls"),
        (8002, "http1.0", "arrives", "HTTP/1.0", "mutual_tls"),
        (8002, "three-bytes", "arrives", "bytes that are not HTTP", "mutual_tls"),
        (8003, "http1.1", "arrives", "HTTP/2", "mutual_tls"),
        (8003, "tls", "arrives", "TLS", "tls"),
        (8000, "mongo", "arrives", "MongoDB", "plaintext"),
        (8000, "mysql", "hangs", "its http inspector waits for bytes", "nothing"),
        (8001, "mongo", "arrives", "MongoDB", "mutual_tls"),
        (8001, "mysql", "arrives", "MySQL", "mutual_tls"),
        (8001, "mysql-tls", "arrives", "MySQL", "mutual_tls"),
        (8002, "redis", "arrives", "Redis", "mutual_tls"),
        (8002, "mysql-tls", "hangs", "its http inspector waits for bytes", "nothing"),
        (8001, "datagram", "arrives", "a datagram", "plaintext"),
    ],
)
def test_a_call_to_httpbin_goes_as_it_was_seen_to_go(
    port: int, sending: str, outcome: str, detail: str, security: str
) -> None:
    found = way("httpbin", port, sending)
    assert (found.outcome, found.detail, crosses(found)) == (outcome, detail, security)


def test_a_pods_own_address_has_a_listener_where_a_headless_service_names_its_port() -> None:
    assert crosses(way("headless", 8080, "http1.1")) == "mutual_tls"


def test_a_port_in_no_service_passes_through_in_plaintext() -> None:
    client, server = stored("client"), stored("httpbin")
    pod = node.workload(server, dump.read(server)).address
    (found,) = ways(client, server, pod, 9999, "http1.1", at=pod)
    assert crosses(found) == "plaintext"
    assert "PassthroughCluster" in str(found.steps)


def test_the_http_host_decides_and_not_the_address() -> None:
    client, server = stored("client"), stored("httpbin")
    caller = node.workload(client, dump.read(client))
    assert caller.proxy
    plain = services.named(caller.proxy, "plain", 8000, "demo")[1][0]
    (found,) = ways(client, server, "httpbin", 8000, "http1.1", at=plain)
    assert found.by == "demo/httpbin"


def test_a_pod_that_is_not_known_is_unknown_and_not_guessed() -> None:
    found = way("plain", 8000, "http1.1")
    assert found.outcome == "unknown"
    assert "is not known" in found.unknown


def test_each_step_names_the_part_of_the_configuration_that_decided() -> None:
    found = way("httpbin", 8000, "http1.1")
    sources = [one.source for one in found.steps if one.source]
    assert sources[0] == "listener 0.0.0.0_8000, filter_chains[0]"
    assert sources[1] == "virtual host httpbin.demo.svc.cluster.local:8000, route default"
    assert sources[2] == "cluster outbound|8000||httpbin.demo.svc.cluster.local"
    assert sources[3].startswith("listener virtualInbound, filter_chains[")
    assert sources[-1] == "cluster inbound|8080||"


def find(content: Any, key: str, value: Any, having: str = "") -> Any:
    """The first object in a dump that has this value under this key, and another key too."""
    todo = [content]
    while todo:
        one = todo.pop(0)
        if isinstance(one, dict):
            if one.get(key) == value and (not having or having in one):
                return one
            todo += one.values()
        elif isinstance(one, list):
            todo += one
    raise AssertionError(f"no {key}={value}")


CLUSTER = "outbound|8000||httpbin.demo.svc.cluster.local"


def without_socket(client: Any) -> None:
    del find(client, "name", CLUSTER)["transport_socket_matches"]


def without_label(client: Any) -> None:
    assignment = find(client, "cluster_name", CLUSTER)
    for end in assignment["endpoints"][0]["lb_endpoints"]:
        del end["metadata"]


def to_subset(client: Any) -> None:
    find(client, "name", f"{CLUSTER.split('||')[1]}:8000")["routes"][0]["route"]["cluster"] = (
        "outbound|8001||httpbin.demo.svc.cluster.local"
    )


def to_nowhere(client: Any) -> None:
    find(client, "cluster_name", CLUSTER)["endpoints"] = []


def direct(client: Any) -> None:
    route = find(client, "name", f"{CLUSTER.split('||')[1]}:8000")["routes"][0]
    del route["route"]
    route["direct_response"] = {"status": 418}


def other_name(client: Any) -> None:
    wanted = "spiffe://cluster.local/ns/demo/sa/default"
    find(find(client, "name", CLUSTER), "exact", wanted)["exact"] = wanted.replace("demo", "shop")


def without_certificate(client: Any) -> None:
    sni = "outbound_.8000_._.httpbin.demo.svc.cluster.local"
    context = find(find(client, "name", CLUSTER), "sni", sni)
    del context["common_tls_context"]["tls_certificate_sds_secret_configs"]


def other_chain(client: Any) -> None:
    chain = find(client, "name", "0.0.0.0_8000", "filter_chains")["filter_chains"][0]
    chain["filter_chain_match"]["application_protocols"] = ["h2c"]


@pytest.mark.parametrize(
    ("change", "outcome", "status", "security"),
    [
        (without_socket, "arrives", 0, "plaintext"),
        (without_label, "arrives", 0, "plaintext"),
        (to_subset, "arrives", 0, "mutual_tls"),
        (to_nowhere, "refused", 503, "nothing"),
        (direct, "answered by a proxy", 418, "nothing"),
        (other_chain, "arrives", 0, "plaintext"),
        (other_name, "refused", 0, "mutual_tls"),
        (without_certificate, "refused", 0, "tls"),
    ],
)
def test_a_change_in_the_clients_dump_changes_the_prediction(
    change: Callable[[Any], None], outcome: str, status: int, security: str
) -> None:
    before = way("httpbin", 8000, "http1.1")
    client = copy.deepcopy(stored("client"))
    change(client)
    (found,) = ways(client, stored("httpbin"), "httpbin", 8000, "http1.1")
    assert (found.outcome, found.status, crosses(found)) == (outcome, status, security)
    assert found != before


def test_a_server_without_plaintext_chains_refuses_what_is_not_tls() -> None:
    server = copy.deepcopy(stored("httpbin"))
    inbound = find(server, "name", "virtualInbound", "filter_chains")
    inbound["filter_chains"] = [
        one for one in inbound["filter_chains"] if "transport_socket" in one
    ]
    (found,) = ways(stored("client"), server, "httpbin", 8000, "http1.0")
    assert (found.outcome, found.flag, found.detail) == ("refused", "NR", "filter_chain_not_found")
    assert crosses(found) == "plaintext"


@pytest.mark.parametrize(("sending", "outcome"), [("nothing", "hangs"), ("half-line", "hangs"),
                                                  ("line", "answered by a proxy")])  # fmt: skip
def test_a_server_that_reads_requests_waits_for_a_whole_one(sending: str, outcome: str) -> None:
    server = copy.deepcopy(stored("httpbin"))
    inbound = find(server, "name", "virtualInbound", "filter_chains")["filter_chains"]
    catchall = next(one for one in inbound if one.get("name") == "virtualInbound-catchall-http")
    for one in inbound:
        if one.get("filter_chain_match", {}).get("destination_port") == 8080:
            one["filters"] = catchall["filters"]
    (found,) = ways(stored("client"), server, "httpbin", 8001, sending)
    assert (found.outcome, found.by) == (outcome, "server's proxy")


def test_weights_are_alternatives_whose_shares_add_up_to_one() -> None:
    client = copy.deepcopy(stored("client"))
    route = find(client, "name", f"{CLUSTER.split('||')[1]}:8000")["routes"][0]["route"]
    names = (CLUSTER, "outbound|8001||httpbin.demo.svc.cluster.local")
    parts = [{"name": name, "weight": weight} for name, weight in zip(names, (3, 1), strict=True)]
    del route["cluster"]
    route["weighted_clusters"] = {"clusters": parts}
    found = ways(client, stored("httpbin"), "httpbin", 8000, "http1.1")
    assert [one.share for one in found] == [0.75, 0.25]


@pytest.mark.parametrize(
    ("name", "type_", "said"),
    [
        ("envoy.filters.http.lua", "envoy.extensions.filters.http.lua.v3.Lua", "lua"),
        ("envoy.filters.http.ext_authz", "envoy.extensions.x.ExtAuthz", "ext_authz"),
        ("mine", "envoy.extensions.filters.http.wasm.v3.Wasm", "mine"),
    ],
)
def test_a_filter_that_is_not_modelled_makes_the_answer_unknown(
    name: str, type_: str, said: str
) -> None:
    client = copy.deepcopy(stored("client"))
    chain = find(client, "name", "0.0.0.0_8000", "filter_chains")["filter_chains"][0]
    config = {"@type": f"type.googleapis.com/{type_}"}
    chain["filters"][-1]["typed_config"]["http_filters"].insert(
        0, {"name": name, "typed_config": config}
    )
    (found,) = ways(client, stored("httpbin"), "httpbin", 8000, "http1.1")
    assert found.outcome == "unknown"
    assert said in found.unknown


@pytest.mark.parametrize("content", [None, [], {}, {"configs": 3}, {"configs": [{}]}, "x"])
def test_what_is_no_dump_is_refused_in_a_sentence(content: Any) -> None:
    with pytest.raises(BadEvidence, match="config dump"):
        dump.read(content)


def test_an_upgrade_that_a_proxy_is_told_to_ignore_is_carried_as_an_ordinary_request() -> None:
    told = copy.deepcopy(stored("client"))
    assert way("httpbin", 8000, "upgrade-tls").outcome == "answered by a proxy"
    for manager in managers(told):
        options = manager.setdefault("http_protocol_options", {})
        options["ignore_http_11_upgrade"] = [{"exact": "TLS/1.2"}]
    (found,) = ways(told, stored("httpbin"), "httpbin", 8000, "upgrade-tls")
    assert (found.outcome, crosses(found)) == ("arrives", "mutual_tls")


def managers(part: Any) -> Iterator[dict[str, Any]]:
    """Every HTTP connection manager in a dump."""
    each = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for one in each:
        yield from managers(one)
    if isinstance(part, dict) and "http_filters" in part:
        yield part
