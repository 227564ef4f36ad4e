"""Disagreements by name: found where they were recorded or planted, and nowhere else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from altered import Lines, case, with_evidence, with_log

from lab.judge import disagreements
from lab.judge.case import Case
from lab.judge.disagreements import KINDS, UNEXPLAINED, find_disagreements
from lab.judge.edge import Edge, Graph, Identity, observe_edge
from lab.judge.proof import places
from lab.planes.wire import WireSeen

ANOTHER, BLIND, UNREPORTED = (
    "log of another connection",
    "telemetry blind to TCP",
    "telemetry without the destination's word",
)
OWN, BYPASSED, BEFORE, DOUBLE = (
    "TLS of the application, not of the mesh",
    "bypassed the sidecar",
    "answered before the wire",
    "double TLS",
)
READABLE, MEANT, MISSED, LOG, OTHER = (
    "refused but readable",
    "configuration says mutual TLS, the wire says plaintext",
    "the rule does not reach the call",
    "a log at odds with the packets",
    "identity of somebody else",
)
NAMES = ("tcp_mtls", "rest_mtls", "grpc_h2c", "https_in_mtls")


def edge(of: Case, call: str) -> Edge:
    seen = of.see(call)
    assert seen
    return observe_edge(of, seen)


def names(of: Case | Edge, call: str = "") -> list[str]:
    found = of if isinstance(of, Edge) else edge(of, call)
    return [one.name for one in find_disagreements(found)]


@pytest.mark.parametrize(
    ("name", "call", "expected"),
    [
        ("tcp_mtls", "plain", []),
        ("tcp_mtls", "tcp-foo", [BLIND]),
        ("tcp_mtls", "udp-foo", [BYPASSED, MISSED]),
        ("tcp_mtls", "udp-foo-strict", [BYPASSED, READABLE, MISSED]),
        ("tcp_mtls", "plain-stranger", [READABLE]),
        ("tcp_mtls", "mesh-certificate", [BLIND, BYPASSED]),
        ("tcp_mtls", "permissive-stranger", []),
        ("tcp_mtls", "gateway-plain:changed", [MISSED]),
        ("tcp_mtls", "gateway-mutual:changed", [UNREPORTED]),
        ("tcp_mtls", "gateway-mutual:changed/2", [BLIND]),
        ("rest_mtls", "get", []),
        ("rest_mtls", "plain-get", []),
        ("rest_mtls", "rule", []),
        ("grpc_h2c", "h2c", []),
        ("grpc_h2c", "tls-upgrade", [BEFORE]),
        ("https_in_mtls", "http", []),
        ("https_in_mtls", "https", [OWN, BYPASSED]),
        ("https_in_mtls", "plain-cost", [OWN]),
        ("https_in_mtls", "cost", [BLIND, DOUBLE]),
        ("https_in_mtls", "tcp-name:changed", [BLIND, DOUBLE]),
        ("https_in_mtls", "exclude-port:changed", [OWN, BYPASSED]),
        ("https_in_mtls", "originate:changed", [OWN, BYPASSED]),
        ("https_in_mtls", "port-disable:changed", [BYPASSED, MISSED]),
    ],
)
def test_recorded_edges_are_at_odds_as_they_are_named(
    name: str, call: str, expected: list[str]
) -> None:
    assert names(case(name), call) == expected


def test_every_disagreement_tells_what_was_seen_and_what_is_likely() -> None:
    found = [
        one
        for name in NAMES
        for record in case(name).evidence.calls
        for one in find_disagreements(edge(case(name), record.name))
    ]
    assert len(found) > 50
    assert all(one.told and one.likely for one in found)
    assert UNEXPLAINED not in {one.name for one in found}
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_where_a_sidecar_was_passed_by_is_told() -> None:
    of = case("https_in_mtls")
    told = {
        call: find_disagreements(edge(of, call))[1].told
        for call in ("exclude-port:changed", "originate:changed", "https")
    }
    answered = "the application answered, and nothing came to it from its sidecar"
    assert told["originate:changed"] == answered
    assert told["exclude-port:changed"].endswith(answered)
    assert answered not in told["https"]
    assert "passed it on as it came" in told["https"]


def test_a_call_to_the_pods_own_address_is_told_as_such(tmp_path: Path) -> None:
    pods = case("tcp_mtls").evidence.worlds["permissive"].pods

    def direct(lines: Lines) -> Lines:
        host = {"upstream_host": f"{pods['tcp-echo'].ip}:9001"}
        return [{**line, **host} if line["upstream_cluster"] == "PassthroughCluster" else line
                for line in lines]  # fmt: skip

    of = with_log("tcp_mtls", "permissive-client", direct, tmp_path)
    told = find_disagreements(edge(of, "udp-foo"))[0]
    assert told.name == BYPASSED
    assert "the pod's own address" in told.told
    assert "the pod's own address" not in edge(case("tcp_mtls"), "udp-foo").past[0]


def test_identities_are_those_of_the_handshake_beside_those_that_the_proxies_hold() -> None:
    found = edge(case("tcp_mtls"), "tcp-foo")
    assert found.client.shown.endswith("/sa/client")
    assert found.server.shown.endswith("/sa/tcp-echo")
    assert found.client == Identity(found.client.held, found.client.shown)
    assert found.server == Identity(found.server.held, found.server.shown)


def test_a_name_in_a_refused_handshake_is_no_identity() -> None:
    refused = edge(case("tcp_mtls"), "foreign-certificate")
    assert refused.seen.server.facts["peer"], "Envoy logs the name that it then refuses"
    assert refused.client.shown == ""


def test_a_certificate_of_somebody_else_is_told(tmp_path: Path) -> None:
    def taken(told: dict[str, Any]) -> None:
        pods = told["worlds"]["posted"]["pods"]
        pods["client"]["certificate"]["spiffe"] = "spiffe://cluster.local/ns/x/sa/mallory"

    of = with_evidence("tcp_mtls", taken, tmp_path)
    assert OTHER in names(of, "tcp-foo")
    assert names(of, "udp-foo") == [BYPASSED, MISSED], "no certificate was shown there"


LIES: dict[str, Callable[[Lines], Lines]] = {
    "of another port": lambda lines: [
        {**lines[0], "upstream_local_address": "10.244.0.31:4711"}, *lines[1:]
    ],
    "of another time": lambda lines: [
        {**lines[0], "start_time": "2026-11-25T04:00:00.000Z"}, *lines[1:]
    ],
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_line_of_another_call_is_told_and_no_graph_is_drawn_from_it(
    lie: str, tmp_path: Path
) -> None:
    found = edge(with_log("rest_mtls", "posted-client", LIES[lie], tmp_path), "get")
    assert names(found)[0] == ANOTHER
    assert {one.drawn for one in found.graphs} == {"unknown"}
    assert "mutual_tls" not in {said.security for said in found.answers if said.derived}


def test_a_log_that_tells_of_mutual_tls_where_packets_are_plaintext_is_told(
    tmp_path: Path,
) -> None:
    def lie(lines: Lines) -> Lines:
        taken = {key: value for key, value in lines[0].items() if key.endswith("_uri_san")}
        taken |= {"downstream_tls_version": "TLSv1.3", "downstream_transport_failure_reason": None}
        return [lines[0], {**lines[1], **taken}, *lines[2:]]

    found = edge(with_log("tcp_mtls", "permissive-tcp-echo", lie, tmp_path), "udp-foo")
    assert {ANOTHER, LOG} <= set(names(found))
    assert found.seen.security == "plaintext"


def test_where_logs_are_missing_nothing_is_said_of_what_they_would_have_told(
    tmp_path: Path,
) -> None:
    for of, log_name, call in (
        ("tcp_mtls", "posted-tcp-echo", "tcp-foo"),
        ("rest_mtls", "posted-httpbin", "get"),
        ("https_in_mtls", "posted-b", "cost"),
    ):
        without = with_log(of, log_name, lambda _: [], tmp_path / of)
        assert names(without, call) == [], "an unknown plane disagrees with nobody"


def test_a_configuration_that_means_mutual_tls_where_packets_are_plaintext_is_told() -> None:
    stale = edge(case("tcp_mtls"), "udp-foo")
    config = dataclasses.replace(stale.seen.config, security="mutual_tls")
    found = dataclasses.replace(stale, seen=dataclasses.replace(stale.seen, config=config))
    assert MEANT in names(found)
    assert MISSED not in names(found)


def test_what_has_no_name_is_told_as_unexplained() -> None:
    odd = edge(case("tcp_mtls"), "plain")
    assert names(odd) == []
    client = dataclasses.replace(odd.seen.client, security="none")
    found = observe_edge(case("tcp_mtls"), dataclasses.replace(odd.seen, client=client))
    assert names(found) == [UNEXPLAINED]
    assert "client's proxy says none" in find_disagreements(found)[0].told
    silent = dataclasses.replace(
        found.seen, wire=dataclasses.replace(found.seen.wire, security="unknown")
    )
    assert names(observe_edge(case("tcp_mtls"), silent)) == []


def test_the_answers_hold_every_plane_and_mark_what_is_derived() -> None:
    found = edge(case("tcp_mtls"), "tcp-foo")
    told = [(said.plane, said.derived) for said in found.answers]
    assert told == [
        ("wire", False),
        ("log", False),
        ("stats", False),
        ("log", False),
        ("config", False),
        *[("graph", True)] * 3,
    ]


def drawn(*words: str) -> tuple[Graph, ...]:
    kialis = (("Kiali before 1.6", "2019-08-30"), ("Kiali 1.6", "2019-10-03"),
              ("Kiali 2.30", "2026-08-02"))  # fmt: skip
    return tuple(
        Graph(*kiali, word, f"why {word}") for kiali, word in zip(kialis, words, strict=True)
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("no lock", "lock", "lock"),
            "not reproduced on the wire; reproduced in a Kiali graph of 2019 (Kiali before 1.6), "
            "because why no lock; lock in Kiali 1.6 and Kiali 2.30: why lock",
        ),
        (
            ("lock", "lock", "no lock"),
            "not reproduced on the wire; not reproduced in a Kiali graph of 2019 (Kiali before "
            "1.6), where there is a lock: why lock; lock in Kiali 1.6: why lock; no lock in "
            "Kiali 2.30: why no lock",
        ),
        (
            ("unknown", "unknown", "unknown"),
            "not reproduced on the wire; unknown in any graph: why unknown",
        ),
        (
            ("no edge", "no edge", "no edge"),
            "not reproduced on the wire; no edge in a Kiali graph of 2019 (Kiali before 1.6): why "
            "no edge; no edge in Kiali 1.6 and Kiali 2.30: why no edge",
        ),
    ],
)
def test_the_wire_and_the_graphs_are_told_side_by_side(words: tuple[str, ...], told: str) -> None:
    assert disagreements.beside_the_wire("not reproduced", drawn(*words)) == told


def test_a_plane_that_cannot_say_disagrees_with_nobody() -> None:
    for name in NAMES:
        of = case(name)
        for record in of.evidence.calls:
            found = edge(of, record.name)
            blank = WireSeen("", "", "unknown", "it cannot be said")
            seen = dataclasses.replace(
                found.seen, wire=blank, server=blank, client=blank, config=blank
            )
            unknown = tuple(dataclasses.replace(one, drawn="unknown") for one in found.graphs)
            mute = dataclasses.replace(
                found, seen=seen, answers=(blank,), graphs=unknown, handed_on=blank, past=(),
                strangeness="",
                client=Identity("", found.client.held), server=Identity("", found.server.held),
            )  # fmt: skip
            assert names(mute) == [], record.name


@pytest.mark.parametrize("name", NAMES)
def test_every_planes_answer_is_told_with_a_file_that_is_there(name: str) -> None:
    of = case(name)
    told = [one for call in of.calls if (seen := of.see(call)) for one in places(of, seen)]
    files = {one.where.partition(" ")[0] for one in told if one.where}
    assert len(files) > 10
    assert {file for file in files if not (of.folder / file).exists()} == set()


def of_server(**other: Any) -> Callable[[Lines], Lines]:
    """The server's line of `tcp-foo` with other values."""

    def change(lines: Lines) -> Lines:
        first = next(one for one in lines if one["downstream_tls_version"])
        return [{**one, **other} if one is first else one for one in lines]

    return change


UNSEEN = "10.244.0.81:65001"
RENAMED = {
    "another port": ({"downstream_remote_address": UNSEEN}, True),
    "of another pod": ({"downstream_remote_address": "10.244.0.99:65001"}, False),
    "of another second": (
        {"downstream_remote_address": UNSEEN, "start_time": "2026-11-25T04:00:00.000Z"},
        False,
    ),
    "of another name": (
        {"downstream_remote_address": UNSEEN, "requested_server_name": "outbound_.1_._.other"},
        False,
    ),
    "of another target": (
        {"downstream_remote_address": UNSEEN, "downstream_local_address": "10.244.0.87:9001"},
        False,
    ),
}


@pytest.mark.parametrize("how", RENAMED)
def test_a_connection_that_conntrack_gave_another_port_is_known_by_all_else(
    how: str, tmp_path: Path
) -> None:
    other, known = RENAMED[how]
    true = case("tcp_mtls").see("tcp-foo")
    assert true
    assert true.wire.packets.client.startswith("10.244.0.81:"), "the test's own address"
    found = edge(with_log("tcp_mtls", "posted-tcp-echo", of_server(**other), tmp_path), "tcp-foo")
    assert (found.seen.security == "mutual_tls") == known
    assert (found.seen.server.security == "unknown") != known
    assert names(found) == ([BLIND] if known else [])


def test_a_line_of_an_earlier_connection_from_the_same_port_is_not_taken_for_it(
    tmp_path: Path,
) -> None:
    def change(lines: Lines) -> Lines:
        true = next(one for one in lines if one["downstream_tls_version"])
        renamed = of_server(downstream_remote_address=UNSEEN)(lines)
        return [{**true, "start_time": "2026-11-25T04:00:00.000Z"}, *renamed]

    found = edge(with_log("tcp_mtls", "posted-tcp-echo", change, tmp_path), "tcp-foo")
    assert found.seen.security == "mutual_tls"
    assert found.seen.server_line
    assert found.seen.server_line["downstream_remote_address"] == UNSEEN
    assert names(found) == [BLIND]


def test_a_port_that_somebody_else_sent_from_is_no_other_name_of_it(tmp_path: Path) -> None:
    seen = case("tcp_mtls").see("udp-foo-strict")
    assert seen
    other = {"downstream_remote_address": seen.wire.packets.client}
    found = edge(with_log("tcp_mtls", "posted-tcp-echo", of_server(**other), tmp_path), "tcp-foo")
    assert found.seen.security == "tls"


def with_second_pass(**other: Any) -> Callable[[Lines], Lines]:
    """The client's line of `tcp-foo` as it is where its sidecar called itself; then the second."""

    def change(lines: Lines) -> Lines:
        first = next(one for one in lines if one["upstream_cluster"].startswith("outbound"))
        own, to = UNSEEN, first["upstream_host"]
        passed = {"upstream_cluster": "PassthroughCluster", "upstream_tls_version": None}
        came = {"downstream_remote_address": own, "downstream_local_address": to}
        second = {**first, **passed, **came, **other}
        return [second, *({**one, "upstream_local_address": own} if one is first else one
                          for one in lines)]  # fmt: skip

    return change


@pytest.mark.parametrize(
    ("other", "known"),
    [
        ({}, True),
        ({"downstream_local_address": "10.244.0.99:9000"}, False),
        ({"start_time": "2026-11-25T04:00:00.000Z"}, False),
        ({"start_time": "2026-11-26T04:00:00.000Z"}, False),
    ],
)
def test_a_call_that_passed_its_own_sidecar_twice_is_found_where_it_left(
    other: dict[str, Any], known: bool, tmp_path: Path
) -> None:
    of = with_log("tcp_mtls", "posted-client", with_second_pass(**other), tmp_path)
    found = edge(of, "tcp-foo")
    assert (found.seen.wire.security == "tls") == known
    assert (found.seen.security == "mutual_tls") == known
    assert not known or names(found) == [BLIND]
