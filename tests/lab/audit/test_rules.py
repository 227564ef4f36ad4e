"""Each failure's cause is found in its recorded world, by its rule and with its objects."""

from __future__ import annotations

import audited_worlds
import pytest

from lab import failures
from lab.audit import edges, findings
from lab.audit.findings import Finding
from lab.audit.objects import Objects
from lab.audit.rules import rules
from lab.model import store
from lab.truth_table import results


def audited(failure: str, world: str) -> list[Finding]:
    walked = edges.walk_all(audited_worlds.world(failure, world))
    assert walked.unread == ()
    return findings.find(walked.edges, Objects(), rules())


@pytest.mark.parametrize(
    ("failure", "world", "rule", "cause"),
    [
        ("sidecar_scope", "posted", "passed-through", "Service"),
        ("hijacked_port", "posted", "another-end", "ServiceEntry with host"),
        ("headless_one_socket", "posted", "tls-to-none", "Service"),
        ("wrong_version_number", "posted", "tls-to-none", "Service"),
        ("who_speaks_first", "posted", "could-wait", "Service"),
        ("authorization_or_mtls", "posted", "greets-the-refused", "Service"),
        ("neighbours_port", "posted", "neighbours-port", ""),
        ("deny_bypassed", "posted", "plaintext-accepted", "pod"),
        ("sidecar_scope", "strict", "server-demands-mtls", "Service"),
        ("permissive_refuses", "posted", "past-the-sidecar", "traffic.sidecar.istio.io/"),
        ("deny_bypassed", "posted", "deny-without-identity", "AuthorizationPolicy with-istio"),
    ],
)
def test_a_failures_cause_is_found(failure: str, world: str, rule: str, cause: str) -> None:
    found = [one for one in audited(failure, world) if one.rule.name == rule]
    assert found, f"{rule} finds nothing"
    causes = [name for one in found for name in one.causes] or [""]
    assert any(name.startswith(cause) for name in causes)


@pytest.mark.parametrize(
    ("failure", "world", "rule"),
    [
        ("deny_bypassed", "strict", "deny-without-identity"),
        ("deny_bypassed", "strict", "plaintext-accepted"),
        ("deny_bypassed", "posted", "allow-without-identity"),
        ("authorization_or_mtls", "posted", "deny-without-identity"),
        ("authorization_or_mtls", "posted", "waits"),
        ("sidecar_scope", "posted", "past-the-sidecar"),
        ("wrong_version_number", "posted", "unverified-tls"),
    ],
)
def test_where_it_is_as_it_should_be_a_rule_finds_nothing(
    failure: str, world: str, rule: str
) -> None:
    assert [one.about for one in audited(failure, world) if one.rule.name == rule] == []


def test_every_rule_is_whole_and_proven_by_failures_that_there_are() -> None:
    claims = {
        f"{name} {claim.id}" for name in failures.names() for claim in failures.load(name).claims
    }
    cells = results.load(store.RECORDED / "truth_table")
    for rule in rules():
        assert rule.says[0].islower()
        assert rule.means.endswith(".")
        assert rule.heals.endswith(".")
        for proof in rule.proven_by:
            kind, _, what = proof.partition(" ")
            there = {"cell": what in cells, "test": (store.ROOT / what).is_file()}
            assert there.get(kind, proof in claims or proof in failures.names()), proof
    names = [rule.name for rule in rules()]
    listed = (store.ROOT / "docs" / "audit.md").read_text()
    assert [name for name in names if f"`{name}`" not in listed] == []
    assert len(names) == len(set(names))


def test_findings_are_the_worst_first_and_the_same_each_time() -> None:
    found = audited("sidecar_scope", "posted")
    order = [("high", "medium", "low").index(one.rule.severity) for one in found]
    assert order == sorted(order)
    again = audited("sidecar_scope", "posted")
    assert [one.fingerprint for one in found] == [one.fingerprint for one in again]
