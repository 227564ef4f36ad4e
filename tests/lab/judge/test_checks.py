"""Every check holds, does not hold, and cannot say: a row for each, on hand-made observations."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from lab.judge import checks
from lab.judge.observation import FINAL_HOP, Observation
from lab.model.evidence import CallRecord, PodRecord, WorldRecord
from lab.model.failure import Check, CheckResult
from lab.model.scenario import Call
from lab.planes import Seen, config, log, wire
from lab.planes.wire import WireFacts, WireSeen

MARKER = "lab-0123456789"
NOT_MADE = "the call has no record"
CALL = Call("call", "posted", "client", "server", 80, "curl -sS http://server/", "")
RECORD = CallRecord(
    name="call",
    world="posted",
    typed="curl -sS http://server/",
    marker=MARKER,
    request_id="",
    started=1.0,
    ended=2.0,
    code=0,
    outcome="answered",
    status=200,
    received=f"hello {MARKER}",
)
WORLD = WorldRecord("posted", "with-istio", "STRICT", "ISTIO_MUTUAL", {}, {}, ())


@dataclass(frozen=True)
class Recorded:
    """What a check asks of a case: some observed calls and worlds."""

    calls: Mapping[str, Observation] = field(default_factory=dict)
    worlds: Mapping[str, WorldRecord] = field(default_factory=dict)

    def see(self, name: str) -> Observation | None:
        return self.calls.get(name)

    def unseen(self, name: str) -> str:
        return "" if name.endswith(FINAL_HOP) else NOT_MADE

    def world(self, name: str) -> WorldRecord | None:
        return self.worlds.get(name)


def observed(
    security: str = "tls",
    *,
    packets: Mapping[str, Any] | None = None,
    server: str = "mutual_tls",
    record: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Observation:
    """A call that was answered over mutual TLS, but for what is given."""
    crossed: Any = security
    facts = WireFacts(file="a.pcap", frame=1, **(packets or {}))
    taken: Any = server
    given = {
        "call": CALL,
        "record": dataclasses.replace(RECORD, **(record or {})),
        "wire": WireSeen("wire", wire.SOURCE, crossed, f"the wire is {security}", packets=facts),
        "server": Seen("log", log.SERVER, taken, f"the server's proxy says {server}"),
        "client": Seen("log", log.CLIENT, "mutual_tls", "the client's proxy says so"),
        "config": Seen("config", config.SOURCE, "mutual_tls", "it is meant"),
        "client_line": None,
        "server_line": None,
        "left_client": None,
    }
    return Observation(**{**given, **changes})


def of_calls(*seen: Observation) -> Recorded:
    """The first is named `call`; others `call2`, `call3`."""
    names = ("call", *(f"call{number}" for number in range(2, 9)))
    return Recorded(calls=dict(zip(names, seen, strict=False)))


def of_world(**changes: Any) -> Recorded:
    return Recorded(worlds={"posted": dataclasses.replace(WORLD, **changes)})


def pod(name: str, **certificate: str) -> PodRecord:
    return PodRecord(name, "10.0.0.1", sidecar=True, certificate=certificate)


def spiffe(name: str) -> str:
    return f"spiffe://cluster.local/ns/with-istio/sa/{name}"


ABSENT = Recorded()
ANSWERED = observed()
REFUSED = observed(record={"outcome": "reset", "received": "", "status": 0})
BAD_GATEWAY = observed(record={"status": 502})
UNKNOWN = observed("unknown")
READ = observed("plaintext", packets={"marker_in_client": 1}, server="plaintext")
NOT_CROSSED = observed("none", packets={})
BOTH_HOPS = Recorded({"call": ANSWERED, "call/2": ANSWERED})
LET_IN_TLS = {"client_certificate": "spiffe://a", "spoke": "tls", "error": "no certificate"}


def headers(*names: str) -> Observation:
    return observed(record={"received": json.dumps({"headers": dict.fromkeys(names, "x")})})


def failed_upstream(why: str | None) -> Observation:
    return observed(client_line={"upstream_transport_failure_reason": why})


def routed(cluster: str) -> Observation:
    return observed(client_line={"upstream_cluster": cluster})


def upgraded(details: str, status: int, security: str = "none") -> Observation:
    line = {"response_code_details": details}
    return observed(security, client_line=line, record={"status": status})


def served(details: str) -> Observation:
    return observed(server_line={"response_code_details": details})


def flagged(code: int, flags: str, details: str = "") -> Observation:
    line = {"response_code": code, "response_flags": flags, "response_code_details": details}
    return observed(server_line=line)


def sized(client: int, server: int) -> Observation:
    return observed(packets={"client_bytes": client, "server_bytes": server})


def counted(outcome: str, **rose: int) -> Observation:
    there = {f"listener.0.0.0.0_15006.ssl.{name}": by for name, by in rose.items()}
    return observed(record={"outcome": outcome, "counters": {"server": there}})


def own_tls(sni: str, line: Mapping[str, Any] | None = LET_IN_TLS) -> Recorded:
    return of_calls(observed("tls", packets={"sni": sni}, server="plaintext", app_line=line))


def said_by_api(words: str, outcome: str = "answered") -> Recorded:
    return of_calls(observed("none", record={"received": words, "outcome": outcome}))


def certified(*names: str, issuers: tuple[str, ...] = ("istiod", "istiod")) -> Recorded:
    """client and server, who hold certificates in these names."""
    pods = {
        whose: pod(whose, spiffe=spiffe(name), issuer=issuer)
        for whose, name, issuer in zip(("client", "server"), names, issuers, strict=True)
    }
    return of_world(pods=pods)


Row = tuple[Check, Recorded, str]
"""A check, what it looks at, and a part of what it must say."""


def look(seen: Observation) -> CheckResult:
    holds = {"answered": True, "reset": False}.get(seen.record.outcome)
    return CheckResult(holds, f"it was {seen.record.outcome}")


EACH = checks.each("call", "call2", look=look)
BOTH = checks.all_of(checks.answered("call"), checks.readable("call"))
UNDER = checks.under("STRICT", "posted", checks.no_certificate_secrets("posted"))
STRANGER = checks.tls_refused("call", outcomes=("alert",), counter="ssl.fail_verify_no_cert")
WANT_CLUSTER = checks.went_to("call", cluster="outbound|80|")
WANT_TLS_LOGGED = checks.application_logged("call", spoke="tls", words="no certificate")
IDENTITIES = checks.identities("posted", "client", "server")

ROWS: dict[str, tuple[Row, Row, Row]] = {
    "each": (
        (EACH, of_calls(ANSWERED, ANSWERED), "call, call2: it was answered"),
        (EACH, of_calls(ANSWERED, REFUSED), "call2: it was reset"),
        (EACH, of_calls(ANSWERED), f"call2: {NOT_MADE}"),
    ),
    "all_of": (
        (BOTH, of_calls(READ), "saw plaintext"),
        (BOTH, of_calls(ANSWERED), "expected plaintext"),
        (BOTH, of_calls(UNKNOWN), "the wire is unknown"),
    ),
    "under": (
        (UNDER, of_world(mtls="PERMISSIVE", secrets=("tls",)), "posted is PERMISSIVE"),
        (UNDER, of_world(secrets=("tls",)), "['tls']"),
        (UNDER, ABSENT, "world posted has no record"),
    ),
    "answered": (
        (checks.answered("call", status=200), of_calls(ANSWERED), "saw answered 200"),
        (
            checks.answered("call"),
            of_calls(observed(record={"received": "another's"})),
            "without its marker",
        ),
        (checks.answered("call"), ABSENT, NOT_MADE),
    ),
    "secured": (
        (checks.secured("call"), of_calls(ANSWERED), "saw mutual_tls"),
        (checks.secured("call"), of_calls(READ), "expected mutual_tls, saw plaintext"),
        (checks.secured("call"), of_calls(observed(server="unknown")), "proxy says unknown"),
    ),
    "secured_answer": (
        (checks.secured_answer("call"), of_calls(ANSWERED), "saw mutual_tls"),
        (checks.secured_answer("call"), of_calls(REFUSED), "saw reset"),
        (checks.secured_answer("call"), of_calls(UNKNOWN), "the wire is unknown"),
    ),
    "secured_hops": (
        (checks.secured_hops("call"), BOTH_HOPS, "call/2"),
        (
            checks.secured_hops("call"),
            Recorded({"call": ANSWERED, "call/2": READ}),
            "call/2: expected mutual_tls",
        ),
        (checks.secured_hops("call"), of_calls(ANSWERED), "its last hop is not known"),
    ),
    "readable": (
        (checks.readable("call"), of_calls(READ), "marker read 1x"),
        (checks.readable("call"), of_calls(observed("plaintext")), "marker read 0x"),
        (checks.readable("call"), of_calls(UNKNOWN), "the wire is unknown"),
    ),
    "left_client": (
        (checks.left_client("call"), of_calls(observed(left_client=True)), "were seen"),
        (checks.left_client("call"), of_calls(observed(left_client=False)), "were not seen"),
        (checks.left_client("call"), of_calls(ANSWERED), "could not be looked for"),
    ),
    "went_to": (
        (WANT_CLUSTER, of_calls(routed("outbound|80||server")), "saw outbound|80||server"),
        (WANT_CLUSTER, of_calls(routed("PassthroughCluster")), "saw PassthroughCluster"),
        (WANT_CLUSTER, of_calls(ANSWERED), "the client's proxy has no line of it"),
    ),
    "refused_upgrade": (
        (checks.refused_upgrade("call"), of_calls(upgraded("upgrade_failed", 403)), "saw 403"),
        (
            checks.refused_upgrade("call"),
            of_calls(upgraded("upgrade_failed", 403, "plaintext")),
            "on the wire: plaintext",
        ),
        (checks.refused_upgrade("call"), of_calls(NOT_CROSSED), "the client's proxy says so"),
    ),
    "reached": (
        (checks.reached("call", status=200), of_calls(served("via_upstream")), "via_upstream"),
        (checks.reached("call"), of_calls(served("upgrade_failed")), "by upgrade_failed"),
        (checks.reached("call"), of_calls(ANSWERED), "no proxy has a line of it"),
    ),
    "let_in": (
        (checks.let_in("call"), of_calls(ANSWERED), "says mutual_tls"),
        (checks.let_in("call"), of_calls(observed(server="tls")), "says tls"),
        (checks.let_in("call"), ABSENT, NOT_MADE),
    ),
    "upgrade_is_gone": (
        (checks.upgrade_is_gone("call"), of_calls(headers("Host")), "none"),
        (checks.upgrade_is_gone("call"), of_calls(headers("Host", "Upgrade")), "['Upgrade']"),
        (checks.upgrade_is_gone("call"), of_calls(ANSWERED), "does not tell the headers"),
    ),
    "costs_more": (
        (checks.costs_more("call", "call2"), of_calls(sized(1, 1), sized(2, 1)), "call2 3"),
        (checks.costs_more("call", "call2"), of_calls(sized(2, 1), sized(2, 1)), "call2 3"),
        (checks.costs_more("call", "call2"), of_calls(sized(1, 1), NOT_CROSSED), "were not seen"),
    ),
    "own_tls_only": (
        (checks.own_tls_only("call"), own_tls("b"), "SNI b"),
        (checks.own_tls_only("call"), own_tls("outbound_.80_._.b"), "SNI outbound_"),
        (checks.own_tls_only("call"), own_tls("b", None), "the application has no line of it"),
    ),
    "unanswered": (
        (checks.unanswered("call"), of_calls(REFUSED), "saw reset"),
        (checks.unanswered("call"), of_calls(ANSWERED), "saw answered 200"),
        (checks.unanswered("call"), ABSENT, NOT_MADE),
    ),
    "succeeded": (
        (checks.succeeded("call"), of_calls(ANSWERED), "saw answered 200"),
        (checks.succeeded("call"), of_calls(BAD_GATEWAY), "saw answered 502"),
        (checks.succeeded("call"), ABSENT, NOT_MADE),
    ),
    "came_out": (
        (checks.came_out("call", outcomes=("reset", "hang")), of_calls(REFUSED), "saw reset"),
        (
            checks.came_out("call", outcomes=("hang",)),
            of_calls(REFUSED),
            "expected hang, saw reset",
        ),
        (checks.came_out("call", outcomes=("hang",)), ABSENT, NOT_MADE),
    ),
    "application_logged": (
        (WANT_TLS_LOGGED, own_tls("b"), "log says tls: no certificate"),
        (WANT_TLS_LOGGED, own_tls("b", {"spoke": "http"}), "log says http: no complaint"),
        (WANT_TLS_LOGGED, own_tls("b", None), "the application has no line of it"),
    ),
    "shows_sni": (
        (checks.shows_sni("call", sni="outbound_"), own_tls("outbound_.80_._.b"), "saw outbound_"),
        (checks.shows_sni("call", sni="outbound_"), own_tls(""), "saw none"),
        (checks.shows_sni("call", sni="outbound_"), of_calls(UNKNOWN), "the wire is unknown"),
    ),
    "protocol_error": (
        (checks.protocol_error("call"), of_calls(flagged(400, "DPE")), "saw 400 DPE"),
        (checks.protocol_error("call"), of_calls(flagged(400, "-")), "saw 400 -"),
        (checks.protocol_error("call"), of_calls(ANSWERED), "has no line of it"),
    ),
    "broken_off": (
        (checks.broken_off("call"), of_calls(REFUSED), "saw reset"),
        (checks.broken_off("call"), of_calls(ANSWERED), "saw answered"),
        (checks.broken_off("call"), ABSENT, NOT_MADE),
    ),
    "no_filter_chain": (
        (
            checks.no_filter_chain("call"),
            of_calls(flagged(0, "NR", "filter_chain_not_found")),
            "saw NR filter_chain_not_found",
        ),
        (checks.no_filter_chain("call"), of_calls(flagged(200, "-")), "expected NR"),
        (checks.no_filter_chain("call"), of_calls(ANSWERED), "has no line of it"),
    ),
    "server_logged": (
        (
            checks.server_logged("call", words="rbac_access_denied"),
            of_calls(flagged(403, "-", "rbac_access_denied_matched_policy[a]")),
            "rbac_access_denied_matched_policy[a]",
        ),
        (
            checks.server_logged("call", words="rbac_access_denied"),
            of_calls(flagged(503, "UF")),
            "says UF",
        ),
        (checks.server_logged("call", words="NR"), of_calls(ANSWERED), "has no line of it"),
    ),
    "client_logged": (
        (
            checks.client_logged("call", words="WRONG_VERSION"),
            of_calls(failed_upstream("TLS_error:WRONG_VERSION_NUMBER")),
            "TLS_error:WRONG_VERSION_NUMBER",
        ),
        (
            checks.client_logged("call", words="WRONG_VERSION"),
            of_calls(failed_upstream(None)),
            "says nothing",
        ),
        (checks.client_logged("call", words="UF"), of_calls(ANSWERED), "has no line of it"),
    ),
    "received": (
        (checks.received("call", words="hello"), of_calls(ANSWERED), "hello"),
        (checks.received("call", words="hello"), of_calls(REFUSED), "saw 'nothing'"),
        (checks.received("call", words="hello"), ABSENT, NOT_MADE),
    ),
    "unread": (
        (checks.unread("call"), of_calls(NOT_CROSSED), "saw none"),
        (checks.unread("call"), of_calls(READ), "marker read 1x"),
        (checks.unread("call"), of_calls(UNKNOWN), "the wire is unknown"),
    ),
    "unsent": (
        (checks.unsent("call"), of_calls(NOT_CROSSED), "saw none"),
        (checks.unsent("call"), of_calls(ANSWERED), "saw tls"),
        (checks.unsent("call"), of_calls(UNKNOWN), "the wire is unknown"),
    ),
    "tls_refused": (
        (STRANGER, of_calls(counted("alert", fail_verify_no_cert=1)), "+1"),
        (STRANGER, of_calls(counted("alert")), "+0"),
        (STRANGER, of_calls(ANSWERED), "were not recorded"),
    ),
    "api_said": (
        (checks.api_said("call", "no matches"), said_by_api("no matches for kind"), "no matches"),
        (checks.api_said("call", "no matches"), said_by_api("created"), "said 'created'"),
        (checks.api_said("call", "no matches"), ABSENT, NOT_MADE),
    ),
    "applied": (
        (checks.applied("call"), said_by_api("created"), "saw 'created'"),
        (checks.applied("call"), said_by_api("no matches", "refused"), "saw 'no matches'"),
        (checks.applied("call"), ABSENT, NOT_MADE),
    ),
    "identities": (
        (IDENTITIES, certified("client", "server"), "issued by istiod"),
        (IDENTITIES, certified("client", "client"), spiffe("client")),
        (IDENTITIES, ABSENT, "world posted has no record"),
    ),
    "no_certificate_secrets": (
        (checks.no_certificate_secrets("posted"), of_world(), "[]"),
        (checks.no_certificate_secrets("posted"), of_world(secrets=("tls",)), "['tls']"),
        (checks.no_certificate_secrets("posted"), ABSENT, "world posted has no record"),
    ),
}
"""Check -> where it holds, where it does not hold, where it cannot say."""
MORE: list[tuple[str, bool | None, Row]] = [
    (
        "unanswered",
        True,
        (checks.unanswered("call", status=502), of_calls(BAD_GATEWAY), "saw answered 502"),
    ),
    (
        "unanswered",
        False,
        (checks.unanswered("call", status=404), of_calls(BAD_GATEWAY), "expected error 404"),
    ),
    ("unanswered", False, (checks.unanswered("call", status=502), of_calls(REFUSED), "saw reset")),
    ("answered", False, (checks.answered("call", status=404), of_calls(ANSWERED), "answered 404")),
    ("secured", None, (checks.secured("call"), of_calls(UNKNOWN), "the wire is unknown")),
    (
        "secured",
        False,
        (checks.secured("call"), of_calls(observed(strangeness="of another")), "saw tls"),
    ),
    (
        "identities",
        False,
        (IDENTITIES, certified("client", "server", issuers=("istiod", "me")), "istiod and me"),
    ),
    ("reached", False, (checks.reached("call"), of_calls(routed("x")), "by None")),
    (
        "tls_refused",
        False,
        (STRANGER, of_calls(counted("reset", fail_verify_no_cert=1)), "saw reset"),
    ),
    (
        "broken_off",
        False,
        (checks.broken_off("call"), of_calls(observed(record={"outcome": "reset"})), "saw reset"),
    ),
    ("under", False, (UNDER, of_world(secrets=("tls",)), "Secrets in the namespace")),
    ("each", None, (checks.each(look=look), ABSENT, "")),
    ("all_of", False, (BOTH, of_calls(observed("unknown", record={"outcome": "hang"})), "hang")),
]
"""More of a check that has more than one way to say so."""
CASES = [
    pytest.param(*row, holds, id=f"{name} {holds}")
    for name, rows in ROWS.items()
    for row, holds in zip(rows, (True, False, None), strict=True)
] + [pytest.param(*row, holds, id=f"{name} {holds} too") for name, holds, row in MORE]


@pytest.mark.parametrize(("check", "recorded", "told", "holds"), CASES)
def test_a_check_holds_does_not_hold_or_cannot_say(
    check: Any, recorded: Recorded, told: str, holds: bool | None
) -> None:
    result = check(recorded)
    assert result.holds is holds, result.text
    assert told in result.text


def test_every_public_check_has_its_three_rows() -> None:
    made = {
        name
        for name, found in inspect.getmembers(checks, inspect.isfunction)
        if found.__module__.startswith(f"{checks.__name__}.")
    }
    assert made == {*checks.__all__} == ROWS.keys()
