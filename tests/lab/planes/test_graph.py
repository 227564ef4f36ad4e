"""The graph plane: Kiali's rules on recorded edges, and no lock from a lie."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from altered import Lines, case, with_evidence, with_log

from lab.judge import telemetry
from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.judge.planes import read_witnesses
from lab.model import store
from lab.planes import agreement, graph, log
from lab.planes.graph import Policy, ReportedHop, Series, Telemetry, derive, says
from lab.planes.kiali import (
    BEFORE_TCP,
    GENERATIONS,
    RECEIVED,
    REQUESTS,
    SENT,
    TODAY,
    WITH_TCP,
    Metric,
    Reporter,
)
from lab.planes.mismatch import find_mismatch
from lab.planes.wire import WireSeen


def seen(of: Case, call: str) -> Observation:
    found = of.see(call)
    assert found
    return found


def drawn(of: Case, call: str) -> tuple[str, ...]:
    return tuple(str(said.facts["drawn"]) for said in telemetry.graphs(of, seen(of, call)))


@pytest.mark.parametrize(
    ("name", "call", "then"),
    [
        ("tcp_mtls", "tcp-foo", "no lock, lock, lock"),
        ("tcp_mtls", "plain", "no lock, no lock, no lock"),
        ("tcp_mtls", "udp-foo", "no lock, no lock, no lock"),
        ("tcp_mtls", "plain-stranger", "no edge, no edge, no edge"),
        ("tcp_mtls", "no-certificate", "no edge, no edge, no edge"),
        ("tcp_mtls", "foreign-certificate", "no edge, no edge, no edge"),
        ("tcp_mtls", "mesh-certificate", "no lock, lock, lock"),
        ("tcp_mtls", "gateway-plain:changed", "no lock, no lock, no lock"),
        ("tcp_mtls", "gateway-mutual:changed", "no lock, no lock, no lock"),
        ("tcp_mtls", "gateway-mutual:changed/2", "no lock, lock, lock"),
        ("rest_mtls", "get", "lock, lock, lock"),
        ("rest_mtls", "plain-get", "no lock, no lock, no lock"),
        ("rest_mtls", "permissive-stranger", "no lock, no lock, no lock"),
        ("rest_mtls", "no-certificate", "no edge, no edge, no edge"),
        ("rest_mtls", "old-policy", "unknown, unknown, unknown"),
        ("grpc_h2c", "h2c", "lock, lock, lock"),
        ("grpc_h2c", "tls-upgrade", "no lock, no lock, no lock"),
        ("grpc_h2c", "tcp-name:changed", "no lock, lock, lock"),
        ("https_in_mtls", "http", "lock, lock, lock"),
        ("https_in_mtls", "plain-cost", "no lock, no lock, no lock"),
        ("https_in_mtls", "plain-https", "no lock, no lock, no lock"),
        ("https_in_mtls", "https-name:changed", "no lock, lock, lock"),
        ("https_in_mtls", "exclude-port:changed", "no lock, no lock, no lock"),
        ("https_in_mtls", "https", "no lock, no lock, no lock"),
    ],
)
def test_recorded_edges_are_drawn_as_each_generation_would(name: str, call: str, then: str) -> None:
    assert ", ".join(drawn(case(name), call)) == then


@pytest.mark.parametrize("name", ["tcp_mtls", "rest_mtls", "grpc_h2c", "https_in_mtls"])
def test_a_lock_is_only_drawn_on_an_edge_that_is_mutual_tls(name: str) -> None:
    found, locks = case(name), 0
    for record in found.evidence.calls:
        observed = found.see(record.name)
        if observed and "lock" in drawn(found, record.name):
            assert observed.security == "mutual_tls", record.name
            locks += 1
    assert locks


def test_a_missing_lock_says_nothing_of_the_wire_and_a_graph_is_no_witness() -> None:
    observed = seen(case("tcp_mtls"), "tcp-foo")
    graphs = telemetry.graphs(case("tcp_mtls"), observed)
    witnesses = read_witnesses(case("tcp_mtls"), observed)
    assert [said.security for said in graphs] == ["unknown", "mutual_tls", "mutual_tls"]
    assert {said.source for said in graphs} == {graph.SOURCE}
    assert agreement((*witnesses, *graphs)) == agreement(witnesses)
    turned = dataclasses.replace(graphs[1], security="plaintext")
    assert agreement((*witnesses, turned)) == "4 of 4 sources agree"


TCP_LOG, HTTP_LOG = "posted-tcp-echo", "posted-httpbin"


def first(lines: Lines, **changes: Any) -> Lines:
    """The first call's line with other fields."""
    return [{**lines[0], **changes}, *lines[1:]]


LIES: dict[str, Callable[[Lines], Lines]] = {
    "no line of the call": lambda lines: lines[1:],
    "no line at all": lambda _: [],
    "a line from another port": lambda lines: first(
        lines, downstream_remote_address="10.244.0.31:4711"
    ),
    "a line of an hour before": lambda lines: first(lines, start_time="2026-11-25T04:09:01.827Z"),
    "a line of no time": lambda lines: first(lines, start_time=None),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize(
    ("name", "server", "call"),
    [("tcp_mtls", TCP_LOG, "tcp-foo"), ("rest_mtls", HTTP_LOG, "get")],
)
def test_from_a_log_of_another_call_no_lock_is_drawn(
    name: str, server: str, call: str, lie: str, tmp_path: Path
) -> None:
    assert "lock" in drawn(case(name), call)
    assert drawn(with_log(name, server, LIES[lie], tmp_path), call) == ("unknown",) * 3


@pytest.mark.parametrize(
    ("name", "log_name", "call"),
    [
        ("tcp_mtls", "posted-client", "tcp-foo"),
        ("tcp_mtls", TCP_LOG, "tcp-foo"),
        ("rest_mtls", HTTP_LOG, "get"),
    ],
)
def test_where_a_log_is_missing_the_graph_is_unknown(
    name: str, log_name: str, call: str, tmp_path: Path
) -> None:
    shutil.copytree(store.RECORDED / name, tmp_path, dirs_exist_ok=True)
    (tmp_path / "logs" / f"{log_name}.jsonl").unlink()
    assert drawn(case(name, tmp_path), call) == ("unknown",) * 3


def as_mutual(lines: Lines, number: int, like: int = 0) -> Lines:
    """One line with the certificates of another."""
    taken = {key: value for key, value in lines[like].items() if key.endswith("_uri_san")}
    tls = {"downstream_tls_version": "TLSv1.3", "downstream_transport_failure_reason": None}
    return [{**line, **taken, **tls} if at == number else line for at, line in enumerate(lines)]


def test_a_line_that_tells_of_mutual_tls_where_packets_are_plaintext_draws_no_lock(
    tmp_path: Path,
) -> None:
    lying = with_log("tcp_mtls", "permissive-tcp-echo", lambda all_: as_mutual(all_, 1), tmp_path)
    assert seen(lying, "udp-foo").server.security == "mutual_tls", "the lie was not planted"
    assert drawn(lying, "udp-foo") == ("unknown",) * 3


def test_a_line_that_tells_of_mutual_tls_where_the_client_spoke_none_draws_no_lock(
    tmp_path: Path,
) -> None:
    """TLS of the application, taken for the mesh's: packets alone could not tell."""
    taken = {"downstream_peer_uri_san": "spiffe://a", "downstream_local_uri_san": "spiffe://b"}

    def lie(lines: Lines) -> Lines:
        return [{**line, **taken, "downstream_tls_version": "TLSv1.3"} for line in lines]

    lying = with_log("https_in_mtls", "plain-b", lie, tmp_path)
    assert seen(lying, "plain-cost").server.security == "mutual_tls", "the lie was not planted"
    assert drawn(lying, "plain-cost") == ("unknown",) * 3


def test_a_line_of_a_connection_that_nobody_captured_draws_no_lock() -> None:
    observed = seen(case("tcp_mtls"), "tcp-foo")
    gone = WireSeen("wire", "packets", "none", "no connection of this call on either pod's eth0")
    during = (observed.record.started, observed.record.ended)
    lines = (observed.client_line, observed.server_line)
    assert not find_mismatch(observed.wire, *lines, "", during)
    assert "no such connection was captured" in find_mismatch(gone, *lines, "", during)


def test_where_proxies_have_istios_filters_nothing_is_derived(tmp_path: Path) -> None:
    def official(told: dict[str, Any]) -> None:
        told["stack"]["flavour"] = "istio"
        for pod in told["worlds"]["posted"]["pods"].values():
            pod["flavour"] = "istio" if pod["sidecar"] else ""

    of = with_evidence("tcp_mtls", official, tmp_path)
    assert drawn(of, "tcp-foo") == ("unknown",) * 3
    why = telemetry.graphs(of, seen(of, "tcp-foo"))[0].why
    assert "Istio's own metrics, which were not recorded" in why


@pytest.mark.parametrize(("flavour", "then"), [("istio", "unknown"), ("stock", "lock")])
def test_a_pods_own_flavour_goes_before_the_stacks(flavour: str, then: str, tmp_path: Path) -> None:
    def one_pod(told: dict[str, Any]) -> None:
        told["stack"]["flavour"] = "istio" if flavour == "stock" else "stock"
        for pod in told["worlds"]["posted"]["pods"].values():
            pod["flavour"] = "stock"
        told["worlds"]["posted"]["pods"]["tcp-echo"]["flavour"] = flavour

    assert drawn(with_evidence("tcp_mtls", one_pod, tmp_path), "tcp-foo")[-1] == then


def test_a_flavour_that_was_not_recorded_is_not_taken_for_stock(tmp_path: Path) -> None:
    def unsaid(told: dict[str, Any]) -> None:
        told["stack"]["flavour"] = ""
        for pod in told["worlds"]["posted"]["pods"].values():
            pod["flavour"] = ""

    assert drawn(with_evidence("tcp_mtls", unsaid, tmp_path), "tcp-foo") == ("unknown",) * 3


OUTBOUND: log.Line = {
    "upstream_cluster": "outbound|9000||tcp-echo.a.svc.cluster.local",
    "upstream_host": "10.0.0.2:9000",
    "upstream_tls_version": "TLSv1.3",
    "bytes_sent": 35,
    "bytes_received": 29,
}
INBOUND: log.Line = {
    "upstream_cluster": "inbound|9000||",
    "downstream_tls_version": "TLSv1.3",
    "downstream_peer_uri_san": "spiffe://cluster.local/ns/a/sa/client",
    "downstream_local_uri_san": "spiffe://cluster.local/ns/a/sa/tcp-echo",
    "bytes_sent": 35,
    "bytes_received": 29,
}
HOP = ReportedHop("client", "tcp-echo", True, True, OUTBOUND, INBOUND, "stock")


def test_each_proxy_reports_what_it_carried_and_only_the_destination_has_a_policy() -> None:
    assert derive(HOP).series == (
        Series(SENT, "source", "unknown", "client", "tcp-echo", 35),
        Series(RECEIVED, "source", "unknown", "client", "tcp-echo", 29),
        Series(SENT, "destination", "mutual_tls", "client", "tcp-echo", 35),
        Series(RECEIVED, "destination", "mutual_tls", "client", "tcp-echo", 29),
    )
    asked = dataclasses.replace(
        HOP, client_line={**OUTBOUND, "method": "GET"}, server_line={**INBOUND, "method": "GET"}
    )
    assert derive(asked).series == (
        Series(REQUESTS, "source", "unknown", "client", "tcp-echo", 1),
        Series(REQUESTS, "destination", "mutual_tls", "client", "tcp-echo", 1),
    )


@pytest.mark.parametrize(
    "missing",
    [
        {"downstream_peer_uri_san": None},
        {"downstream_peer_uri_san": "-"},
        {"downstream_local_uri_san": None},
        {"downstream_transport_failure_reason": "CERTIFICATE_VERIFY_FAILED", "bytes_received": 0},
    ],
)
def test_without_both_names_and_a_good_handshake_the_policy_is_none(
    missing: dict[str, Any],
) -> None:
    hop = dataclasses.replace(HOP, server_line={**INBOUND, **missing})
    policies = {one.policy for one in derive(hop).series if one.reporter == "destination"}
    assert policies == {"none"}
    assert [str(says(one, derive(hop)).facts["drawn"]) for one in GENERATIONS] == ["no lock"] * 3


def test_what_passes_through_is_counted_for_no_service_and_its_caller_is_not_known() -> None:
    through = {**OUTBOUND, "upstream_cluster": "PassthroughCluster", "upstream_tls_version": None}
    plain = {key: value for key, value in INBOUND.items() if not key.startswith("downstream")}
    told = derive(dataclasses.replace(HOP, client_line=through, server_line=plain))
    edges = {(one.reporter, one.source, one.destination) for one in told.series}
    assert edges == {
        ("source", "client", "PassthroughCluster"),
        ("destination", "unknown", "tcp-echo"),
    }
    assert says(TODAY, told).facts["edges"] == [
        "client to PassthroughCluster",
        "unknown to tcp-echo",
    ]


@pytest.mark.parametrize(
    ("line", "because"),
    [
        ({**INBOUND, "upstream_cluster": None}, "refused it before it was counted"),
        ({**INBOUND, "upstream_cluster": OUTBOUND["upstream_cluster"]}, "reports as source only"),
        ({**INBOUND, "bytes_sent": 0, "bytes_received": 0}, "nothing came through"),
    ],
)
def test_a_server_that_does_not_count_draws_no_lock(line: log.Line, because: str) -> None:
    told = says(TODAY, derive(dataclasses.replace(HOP, server_line=line)))
    assert told.facts["drawn"] == "no lock"
    assert because in told.why


def test_a_stream_that_is_never_answered_has_no_lock_in_any_generation() -> None:
    """TCP's policy is asked of what the server sent; today's edges are drawn of what it got."""
    silent = dataclasses.replace(
        HOP, client_line={**OUTBOUND, "bytes_sent": 0}, server_line={**INBOUND, "bytes_sent": 0}
    )
    told = derive(silent)
    assert [says(one, told).facts["drawn"] for one in GENERATIONS] == [
        "no edge",
        "no edge",
        "no lock",
    ]
    assert "the server sent nothing" in says(TODAY, told).why


def test_a_hop_without_any_proxy_is_not_drawn() -> None:
    bare = dataclasses.replace(
        HOP, client_reports=False, server_reports=False, client_line=None, server_line=None
    )
    assert [says(one, derive(bare)).facts["drawn"] for one in GENERATIONS] == ["no edge"] * 3
    assert says(TODAY, derive(bare)).security == "none"


def one(metric: Metric, policy: Policy, amount: int, reporter: Reporter = "destination") -> Series:
    return Series(metric, reporter, policy, "client", "web", amount)


def test_any_traffic_at_all_that_is_mutual_draws_the_lock() -> None:
    edge = one(REQUESTS, "unknown", 100, "source")
    mixed = Telemetry((edge, one(REQUESTS, "mutual_tls", 1), one(REQUESTS, "none", 99)))
    for generation in GENERATIONS:
        told = says(generation, mixed)
        assert (told.facts["drawn"], told.facts["percent"]) == ("lock", 1.0)
    none = Telemetry((edge, one(REQUESTS, "none", 99), one(REQUESTS, "unknown", 1)))
    assert says(TODAY, none).facts["drawn"] == "no lock"


def test_a_lock_lies_on_the_edge_of_the_same_caller_and_destination() -> None:
    edge = one(REQUESTS, "unknown", 1, "source")
    elsewhere = dataclasses.replace(one(REQUESTS, "mutual_tls", 1), destination="other")
    assert says(BEFORE_TCP, Telemetry((edge, elsewhere))).facts["drawn"] == "no lock"


def test_a_policy_that_only_the_source_reports_draws_no_lock() -> None:
    """As in kiali/kiali#5240."""
    told = says(TODAY, Telemetry((one(SENT, "mutual_tls", 9, "source"),
                                  one(RECEIVED, "mutual_tls", 9, "source"))))  # fmt: skip
    assert told.facts["drawn"] == "no lock"


def test_the_generations_are_told_apart_by_what_they_ask_for_and_say_where_it_stands() -> None:
    asks = [{query.metric for query in generation.locks} for generation in GENERATIONS]
    assert asks == [{REQUESTS}, {REQUESTS, SENT}, {REQUESTS, SENT}]
    assert GENERATIONS == (BEFORE_TCP, WITH_TCP, TODAY)
    assert sorted(one.when for one in GENERATIONS) == [one.when for one in GENERATIONS]
    for generation in GENERATIONS:
        assert {query.reporter for query in generation.locks} == {"destination"}
        assert any(
            generation.tag in source and "security_policy.go" in source
            for source in generation.sources
        )
        assert re.fullmatch(r"v\d+\.\d+\.\d+", generation.tag)


def test_what_a_graph_says_can_be_stored() -> None:
    for said in telemetry.graphs(case("tcp_mtls"), seen(case("tcp_mtls"), "tcp-foo")):
        assert json.loads(json.dumps(dict(said.facts)))["drawn"] in graph.DRAWN


def test_a_request_is_the_same_whyever_envoy_traces_it() -> None:
    call, logged = "c5eec709-e0af-40fe-b48e-26b42c587483", "c5eec709-e0af-90fe-b48e-26b42c587483"
    observed = seen(case("rest_mtls"), "get")
    during = (observed.record.started, observed.record.ended)

    def said(logged: str) -> str:
        line = {**(observed.server_line or {}), "request_id": logged}
        return find_mismatch(observed.wire, None, line, call, during)

    assert said(logged) == ""
    assert "was c5eec709" in said("d" + logged[1:])
