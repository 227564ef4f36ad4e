"""What proxies counted is believed of a call only where it cannot be another's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import recordings

from clusters.base import PodRef
from lab import failures
from lab.common.errors import CommandFailed
from lab.model.scenario import Call, World
from lab.planes import stats
from lab.record import calls
from lab.record.counters import Counters, Increases
from lab.record.world import LiveWorld

ONE = {"listener.0.0.0.0_15006.downstream_cx_total": 1}
TLS = "listener.0.0.0.0_15006.ssl."


@pytest.mark.parametrize(
    ("rose", "security", "word"),
    [
        (ONE, "plaintext", "no handshake"),
        (ONE | {f"{TLS}handshake": 1}, "mutual_tls", "a client certificate in it"),
        (ONE | {f"{TLS}handshake": 1, f"{TLS}no_certificate": 1}, "tls", "no client certificate"),
        (ONE | {f"{TLS}fail_verify_no_cert": 1}, "tls", "fail_verify_no_cert +1"),
        (ONE | {f"{TLS}fail_verify_error": 1}, "tls", "fail_verify_error +1"),
        (ONE | {f"{TLS}connection_error": 1}, "tls", "connection_error +1"),
        ({"listener.0.0.0.0_15006.no_filter_chain_match": 1}, "unknown", "did not look into"),
        ({}, "unknown", "it may have gone over one that was open"),
        ({"listener.0.0.0.0_9005.downstream_cx_total": 1}, "unknown", "0 connections"),
        (None, "unknown", "not recorded"),
    ],
)
def test_a_rise_is_read_as_the_listener_counts_it(
    rose: dict[str, int] | None, security: str, word: str
) -> None:
    seen = stats.server_says(rose)
    assert seen.security == security
    assert word in seen.why
    assert (seen.plane, seen.source) == ("stats", "server's proxy")


def test_two_connections_meanwhile_say_nothing_of_either() -> None:
    rose = {"listener.0.0.0.0_15006.downstream_cx_total": 2, f"{TLS}handshake": 2}
    assert stats.server_says(rose).security == "unknown"
    assert "which was the call's?" in stats.server_says(rose).why
    late = ONE | {f"{TLS}handshake": 2}
    assert stats.server_says(late).security == "unknown", "one of them began before the call"


def test_a_router_is_called_through_a_listener_of_its_port() -> None:
    own = "listener.0.0.0.0_9005."
    rose = {f"{own}downstream_cx_total": 1, f"{own}ssl.handshake": 1}
    rose |= {f"{own}worker_0.downstream_cx_total": 1}
    assert stats.server_says(rose, 9005).security == "mutual_tls"
    assert stats.server_says(rose).security == "unknown"


OUT = "cluster.outbound|9000||echo.here.svc.cluster.local;"


@pytest.mark.parametrize(
    ("rose", "security"),
    [
        ({f"{OUT}.upstream_cx_total": 1, f"{OUT}.ssl.handshake": 1}, "tls"),
        ({f"{OUT}.upstream_cx_total": 1}, "plaintext"),
        ({"cluster.PassthroughCluster;.upstream_cx_total": 1}, "unknown"),
        ({f"{OUT}.upstream_cx_total": 2, f"{OUT}.ssl.handshake": 2}, "unknown"),
        ({"cluster.inbound|9000||;.upstream_cx_total": 1}, "unknown"),
        ({}, "unknown"),
        (None, "unknown"),
    ],
)
def test_a_caller_cannot_count_who_is_at_the_other_end(
    rose: dict[str, int] | None, security: str
) -> None:
    seen = stats.client_says(rose)
    assert (seen.source, seen.security) == ("client's proxy", security)


def test_in_the_recorded_runs_counters_never_contradict_the_servers_log() -> None:
    """And where the log is silent they speak: of handshakes that were refused."""
    told: Counter[tuple[str, str]] = Counter()
    for name in failures.names():
        case = recordings.case(name)
        for call in (c for c in case.calls.values() if c.source != "api"):
            seen = case.see(call.name)
            assert seen
            told[seen.server.security, seen.counted.security] += 1
            known = {seen.server.security, seen.counted.security} - {"unknown"}
            assert len(known) < 2, f"{name} {call.name}: {seen.server.why}; {seen.counted.why}"
    assert told["mutual_tls", "mutual_tls"] > 20
    assert told["plaintext", "plaintext"] > 5
    assert told["unknown", "tls"] > 20, "refused in the handshake, and not a line in the log"


class Asked:
    """A proxy's admin interface: what each asking brings."""

    also = "listener.0.0.0.0_15006.downstream_cx_total: 5\n"

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    def proxy_admin(self, pod: PodRef, path: str) -> bytes:
        answer = self._answers.pop(0)
        if not answer:
            raise CommandFailed(f"Envoy of {pod.name} did not answer {path}")
        return f"{self.also}{answer}".encode()


WORLD = World("posted", "during", "", ("echo",), ())
SIDECAR = PodRef("here", "echo-1", "10.0.0.1", ("echo", "istio-proxy"))
BARE = PodRef("here", "stranger-1", "10.0.0.2", ("stranger",))


def counters(*answers: str) -> Counters:
    live = LiveWorld(WORLD, "here", pods={"echo": SIDECAR, "stranger": BARE})
    asked: Any = Asked(*answers)
    return Counters(asked, live)


def rises(found: Counters, asked: list[str], others: list[str] | None = None) -> Increases:
    with found.increases(asked, others or []) as rose:
        pass
    return rose


def test_only_what_rose_is_told_and_nothing_that_asking_counts() -> None:
    first = f"{TLS}handshake: 3\nlistener.admin.downstream_cx_total: 7\n"
    more = f"{TLS}handshake: 4\nlistener.admin.downstream_cx_total: 8\n"
    more += f"{TLS}fail_verify_error: 0\ncluster.inbound|9000||;.upstream_cx_total: 1\n"
    more += "listener.0.0.0.0_15021.downstream_cx_total: 5\n"
    more += "listener.0.0.0.0_15006.worker_1.downstream_cx_total: 1\n"
    found = counters(first, more, more)
    rose = {f"{TLS}handshake": 1, "cluster.inbound|9000||;.upstream_cx_total": 1}
    assert rises(found, ["stranger", "echo"]) == {"echo": rose}
    assert rises(found, ["echo"]) == {"echo": {}}


def test_a_proxy_that_did_not_answer_is_asked_anew_before_the_next_call() -> None:
    found = counters(*(f"{TLS}handshake: {n}\n" if n else "" for n in (1, 0, 3, 4)))
    assert rises(found, ["echo"]) == {}
    assert rises(found, ["echo"]) == {"echo": {f"{TLS}handshake": 1}}


def test_what_rose_in_a_call_that_was_not_counted_is_not_taken_for_the_next_ones() -> None:
    found = counters(*(f"{TLS}handshake: {n}\n" for n in (1, 3, 4)))
    assert rises(found, [], ["echo"]) == {}
    assert rises(found, ["echo"]) == {"echo": {f"{TLS}handshake": 1}}


def test_a_proxy_that_keeps_no_count_of_connections_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = counters(*(f"server.dynamic_unknown_fields: {n}\n" for n in (1, 2)))
    assert rises(found, ["echo"]) == {"echo": {"server.dynamic_unknown_fields": 1}}
    monkeypatch.setattr(Asked, "also", "")
    found = counters(*(f"server.dynamic_unknown_fields: {n}\n" for n in (1, 2)))
    assert rises(found, ["echo"]) == {}


def test_a_hops_witness_is_who_answers_and_where_it_has_no_proxy_the_caller() -> None:
    live = LiveWorld(WORLD, "here", pods={"echo": SIDECAR, "gate": SIDECAR, "stranger": BARE})
    call = Call("one", "posted", "echo", "stranger", 80, "curl http://stranger")
    assert calls.witnesses(call, live) == {"echo"}
    assert calls.witnesses(replace(call, source="stranger", to="echo"), live) == {"echo"}
    assert calls.witnesses(replace(call, through="gate:9005"), live) == {"gate"}
    assert calls.witnesses(replace(call, to="echo", through="gate:9005"), live) == {"gate", "echo"}
    assert calls.witnesses(replace(call, source="api"), live) == set()


def test_a_proxy_that_does_not_answer_before_the_first_call_is_a_problem() -> None:
    with pytest.raises(CommandFailed):
        counters("")
