"""What failures share: worlds, calls, answers, checks. Checks are asked of recorded evidence."""

from __future__ import annotations

import pytest
import yaml

from lab import declare as d
from lab import failures
from lab.judge import stored
from lab.judge.case import Case
from lab.model import store
from lab.model.failure import CheckResult

HTTPBIN = d.service("httpbin", 8000, target=8080)
BOTH = ("client", "httpbin")
ABOUT = "STRICT, and a port excepted"


def recorded(failure: str) -> Case:
    return stored.open_case(failures.load(failure), store.RECORDED)


def result(failure: str, check: d.Check) -> CheckResult:
    found: CheckResult = check(recorded(failure))
    return found


def test_the_world_of_the_report_takes_what_any_world_takes() -> None:
    other = d.Namespace("theirs", "kind: Service")
    bare = d.Variant("bare", of="httpbin", sidecar=False)
    made = d.posted(
        ABOUT, ("client", bare), (HTTPBIN,), "STRICT", "DISABLE", objects="kind: A", others=(other,)
    )
    assert (made.name, made.phase, made.about) == ("posted", "during", ABOUT)
    assert (made.workloads, made.variants) == (("client", "bare"), (bare,))
    assert (made.mtls, made.rule, made.objects) == ("STRICT", "DISABLE", "kind: A")
    assert (made.services, made.others) == ((HTTPBIN,), (other,))
    assert d.posted(ABOUT, BOTH, (HTTPBIN,)).policy == ""


def test_the_posts_world_takes_its_two_modes_from_the_parameters() -> None:
    made = d.under_policy(BOTH, (HTTPBIN,))
    assert (made.name, made.phase) == ("posted", "during")
    assert {made.mtls.strip("{}"), made.rule.strip("{}")} == set(d.POLICY)


def test_the_strict_world_says_what_it_shares_with_the_reports() -> None:
    alone = d.strict(BOTH, (HTTPBIN,))
    assert (alone.name, alone.phase, alone.mtls) == ("strict", "after", "STRICT")
    assert alone.about == "mTLS is demanded"
    shared = d.strict(BOTH, (HTTPBIN,), "{mode}", same="DENY", objects="kind: A")
    assert (shared.mtls, shared.objects) == ("{mode}", "kind: A")
    assert shared.about == "the same DENY, and mTLS is demanded"


def test_a_headless_service_has_no_address_and_its_workloads_own_ports() -> None:
    made = d.headless("web-h", 8084, workload="httpbin")
    spec = yaml.safe_load(made.manifest)["spec"]
    assert spec == {
        "clusterIP": "None",
        "selector": {"app": "httpbin"},
        "ports": [{"port": 8084, "targetPort": 8084, "name": "http"}],
    }
    assert "name" not in yaml.safe_load(d.headless("web", 80, "").manifest)["spec"]["ports"][0]


def test_a_headless_service_by_label_takes_pods_of_any_workload() -> None:
    text = d.headless_by_label("mixed", {"part": "mixed"}, {"http": 8081, "http-too": 8083})
    made = yaml.safe_load(text)
    assert made["metadata"] == {"name": "mixed"}
    assert made["spec"] == {
        "clusterIP": "None",
        "selector": {"part": "mixed"},
        "ports": [{"name": "http", "port": 8081}, {"name": "http-too", "port": 8083}],
    }


def test_a_pod_is_called_by_its_own_address() -> None:
    asked = d.curl_pod("by-address", "posted", "httpbin", 8080, path="/get", source="stranger")
    assert asked.command == "curl -sS http://{ip:httpbin}:8080/get"
    assert (asked.source, asked.asked) == ("stranger", ("httpbin", "", 8080))
    said = d.say_pod("said", "posted", "bare", 9100)
    assert said.command == "say {ip:bare} 9100 {marker}"
    assert (said.source, said.asked) == ("client", ("bare", "", 9100))


def test_a_caller_of_a_pod_or_a_service_may_wait_for_the_greeting() -> None:
    of_pod = d.say_pod("", "posted", "bare", 9100, reads_first=True)
    of_service = d.say("", "posted", d.service("bare", 9100), reads_first=True)
    assert of_pod.command == "say {ip:bare} 9100 {marker} --read-first"
    assert of_service.command == "say bare 9100 {marker} --read-first"


def test_a_parameter_has_its_default_first_among_its_values() -> None:
    made = d.parameter("PeerAuthentication mode", "PERMISSIVE", "STRICT", "DISABLE")
    assert made.default == "PERMISSIVE"
    assert made.allowed == ("PERMISSIVE", "STRICT", "DISABLE")


def test_that_a_stranger_is_read_rests_on_the_packets() -> None:
    control = d.stranger_is_read("stranger")
    assert control.plane == "wire"
    assert result("sidecar_scope", control.check).holds is True
    assert result("sidecar_scope", d.stranger_is_read("open").check).holds is False


@pytest.mark.parametrize(
    ("failure", "check", "holds"),
    [
        ("sidecar_scope", d.readable_answer("limited"), True),
        ("sidecar_scope", d.readable_answer("limited", status=200), True),
        ("sidecar_scope", d.readable_answer("limited", status=204), False),
        ("sidecar_scope", d.readable_answer("open"), False),
        ("sidecar_scope", d.readable_answer("limited-strict"), False),
        ("http10_plaintext", d.plaintext_refused("http10-strict"), True),
        ("http10_plaintext", d.plaintext_refused("http10"), False),
        ("neighbours_port", d.hangs("taken"), True),
        ("neighbours_port", d.hangs("taken", "alone"), False),
        ("wrong_version_number", d.wrong_version_number("excluded"), True),
        ("wrong_version_number", d.wrong_version_number("kept"), False),
    ],
)
def test_what_is_seen_of_a_call_is_told_from_what_is_not(
    failure: str, check: d.Check, holds: bool
) -> None:
    assert result(failure, check).holds is holds


def test_whether_a_call_crosses_unread_is_asked_of_the_wire() -> None:
    read, kept = d.whether_unread("limited-strict"), d.whether_unread("open")
    assert (read.question, read.shows) == ("Does nothing of it cross readably?", "limited-strict")
    assert holds("sidecar_scope", read) == (False, True)
    assert holds("sidecar_scope", kept) == (True, False)


def test_whether_a_call_is_refused_is_asked_as_its_caller_meets_it() -> None:
    asked = d.whether_refused("http10-strict")
    assert (asked.question, asked.shows) == ("Is it refused?", "http10-strict")
    assert holds("http10_plaintext", asked) == (True, False)
    assert holds("http10_plaintext", d.whether_refused("http11")) == (False, True)
    assert holds("http10_plaintext", d.whether_refused("http10-strict", d.unanswered))[0] is True
    assert holds("http10_plaintext", d.whether_refused("http10-strict", d.hangs))[0] is False


def holds(failure: str, asked: d.Answer) -> tuple[bool | None, bool | None]:
    """Whether it is *reproduced*, and whether it is *not reproduced*."""
    assert asked.instead is not None
    return result(failure, asked.reproduced).holds, result(failure, asked.instead).holds
