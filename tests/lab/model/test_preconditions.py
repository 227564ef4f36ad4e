"""What a mesh is set to, and what its cluster does not allow: named, and never taken for green."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import recordings

from lab import failures
from lab.declare.validate import named_calls
from lab.judge.case import Case
from lab.judge.verdict import Verdict, judge
from lab.model.evidence import Evidence
from lab.model.preconditions import unmet, unusual
from lab.render import junit, tables

STRICT = {"mtls": {"mode": "STRICT"}}
ONE = {"app": "b"}
RULE = {"host": "*.local", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}


def root(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"config": {}, "root": {kind: {"everybody": spec}}, "injection": {}}


def judged(name: str, **changes: Any) -> Verdict:
    failure, recorded, folder = recordings.parts(recordings.case(name))
    found: Evidence = dataclasses.replace(recorded, **changes)
    return judge(Case(failure, found, folder))


def settings(**config: Any) -> dict[str, Any]:
    return {"config": config, "root": {}, "injection": {}}


UNMET = [
    ("https_in_mtls", root("PeerAuthentication", STRICT), "whole mesh STRICT, and open no other"),
    ("rest_mtls", root("DestinationRule", RULE), "says ISTIO_MUTUAL for *.local"),
    ("tcp_mtls", settings(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}), "is REGISTRY_ONLY"),
    (
        "tcp_mtls",
        root("Sidecar", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}),
        "is REGISTRY_ONLY",
    ),
    ("grpc_h2c", root("Sidecar", {"egress": [{"hosts": ["istio-system/*"]}]}), "istio-system/*"),
]


@pytest.mark.parametrize(("name", "mesh", "told"), UNMET)
def test_a_precondition_that_is_not_met_is_named_and_nothing_is_concluded(
    name: str, mesh: dict[str, Any], told: str
) -> None:
    verdict = judged(name, mesh=mesh)
    assert verdict.exit_code == 3
    for claim in verdict.claims:
        assert (claim.as_posted.word, claim.today.word) == ("inconclusive", "inconclusive")
        assert told in claim.as_posted.why


HARMLESS = [
    ("https_in_mtls", root("PeerAuthentication", {**STRICT, "selector": {"matchLabels": ONE}})),
    ("https_in_mtls", root("PeerAuthentication", {"mtls": {"mode": "PERMISSIVE"}})),
    ("rest_mtls", root("DestinationRule", {**RULE, "host": "db.shop.svc.cluster.local"})),
    ("rest_mtls", settings(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"})),
    ("tcp_mtls", settings(outboundTrafficPolicy={"mode": "ALLOW_ANY"})),
    ("tcp_mtls", root("Sidecar", {"egress": [{"hosts": ["./*", "istio-system/*"]}]})),
    ("tcp_mtls", {}),
]


@pytest.mark.parametrize(("name", "mesh"), HARMLESS)
def test_a_setting_that_no_claim_rests_on_stops_nothing(name: str, mesh: dict[str, Any]) -> None:
    assert unmet(failures.load(name), mesh) == []
    assert judged(name, mesh=mesh).exit_code == 0


def test_what_a_claim_is_about_is_no_precondition_but_told_beside_a_verdict_that_differs() -> None:
    mesh = settings(enableAutoMtls=False)
    assert unmet(failures.load("rest_mtls"), mesh) == []
    as_pinned = judged("rest_mtls", mesh=mesh)
    assert as_pinned.unusual == ("enableAutoMtls: false",)
    assert "enableAutoMtls" not in tables.terminal([as_pinned], 100)
    claim = dataclasses.replace(as_pinned.claims[0], agreement="differs")
    differs = dataclasses.replace(as_pinned, claims=(claim, *as_pinned.claims[1:]))
    assert "Settings of this mesh that are not Istio's defaults:\n  enableAutoMtls: false" in (
        tables.terminal([differs], 100)
    )


def test_the_labs_own_filter_is_not_unusual() -> None:
    mesh = {"root": {"EnvoyFilter": {"lab-alpn": {}, "theirs": {}}, "Telemetry": {"all": {}}}}
    assert unusual(mesh) == ["EnvoyFilter theirs", "Telemetry all"]


def elsewhere(**changes: Any) -> Verdict:
    return judged("https_in_mtls", cluster="existing", **changes)


def test_a_change_of_other_peoples_mesh_is_skipped_as_pinned() -> None:
    verdict = elsewhere(skipped={"mesh-strict": "not ours"})
    words = {remedy.name: remedy.word for remedy in verdict.remedies}
    assert words["mesh-strict"] == "skipped"
    claim = next(claim for claim in verdict.claims if claim.id == "C4a")
    assert (claim.as_posted.word, claim.today.word) == ("skipped", "reproduced")
    assert verdict.exit_code == 0
    told = tables.terminal([verdict], 100)
    assert "https_in_mtls mesh-strict: skipped: not ours" in told
    assert "https_in_mtls C4a as posted: skipped: not ours" in told


def test_what_is_skipped_without_a_pin_for_it_is_not_green() -> None:
    assert elsewhere(skipped={"mesh-strict": "not ours", "tls-name": "not tried"}).exit_code == 3
    assert elsewhere(skipped={}).exit_code == 1, "tried, on a mesh that is not ours"
    here = judged("https_in_mtls", skipped={"mesh-strict": "not tried"})
    assert here.exit_code == 3
    assert 'failures="0"' in junit.junit([here], {}, 0.0)
    assert 'errors="2"' in junit.junit([here], {}, 0.0), "the remedy, and the claim's answer"


def needed_by_controls(name: str, found: Evidence, without: Verdict) -> set[str]:
    """Return the worlds whose packets a failure's controls need."""
    lost = {says for says, holds, _ in without.controls if not holds}
    checks = [one.check for one in failures.load(name).controls if one.says in lost]
    named = {call for check in checks for call in named_calls(check)}
    return {call.world for call in found.calls if call.name in named}


@pytest.mark.parametrize("name", failures.names())
def test_without_packets_nothing_that_rests_on_them_is_concluded(name: str) -> None:
    found = recordings.case(name).evidence
    worlds = {
        world.name: dataclasses.replace(
            world, captures=(), uncaptured=dict.fromkeys(world.pods, "forbidden by them")
        )
        for world in found.worlds.values()
    }
    whole, without = recordings.verdict(name), judged(name, worlds=worlds)
    assert without.exit_code == 3
    for one, other in zip(whole.said, without.said, strict=True):
        assert other.agreement in ("as pinned", "unsure"), other
        if other.proof and one.proof and one.proof.first_bytes:
            assert other.proof.security == "unknown"
            assert other.proof.why == "forbidden by them"
    for lost in needed_by_controls(name, found, without) if len(worlds) > 1 else ():
        some = {**found.worlds, lost: worlds[lost]}
        assert {said.agreement for said in judged(name, worlds=some).said} == {"unsure"}, (
            "where some packets could be recorded the controls must hold"
        )
