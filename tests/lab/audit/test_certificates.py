"""Certificates as proxies' dumps have them: expired ones, and those of another root."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import replace

import audited_worlds
import pytest

from lab.audit import edges
from lab.audit.edges import Edge
from lab.audit.objects import Objects
from lab.audit.rule import Audited, Found
from lab.audit.rules import another_root, expired_certificate
from lab.common.errors import BadEvidence
from lab.envoy.mesh import Workload
from lab.workloads.certificates import Authority

NOW = datetime.datetime.now(datetime.UTC)
LATER = NOW + datetime.timedelta(days=2)


def holding(pod: Workload, shown: Authority, *trusted: Authority, updated: str = "") -> Workload:
    """The same pod with a certificate of an authority, and those that it trusts."""
    _, chain = shown.issue("", uri=pod.identity)
    roots = b"".join(one.certificate_pem for one in trusted)
    assert pod.proxy is not None
    proxy = replace(pod.proxy, certificates={"default": chain, "ROOTCA": roots}, updated=updated)
    return replace(pod, read_proxy=lambda: proxy)


def mutual() -> Iterator[Edge]:
    """The edges of a recorded world that are mutual TLS."""
    for edge in edges.walk_all(audited_worlds.world("deny_bypassed", "posted")).edges:
        if edge.in_mesh and edge.crossed == "mutual_tls":
            yield edge


def between(client: tuple[Authority, ...], server: tuple[Authority, ...]) -> Audited:
    """An edge whose ends each have the first authority's certificate, and trust the others."""
    edge = next(mutual())
    assert edge.server is not None
    caller, called = holding(edge.caller, *client), holding(edge.server, *server)
    return Audited([replace(edge, caller=caller, server=called)], Objects(), NOW)


def test_a_certificate_that_the_other_end_does_not_trust_is_found_with_both_ends() -> None:
    old, new = Authority("old"), Authority("new")
    found = [*another_root.RULE.found(between((old, old), (new, new)))]
    callers, servers = "with-istio-deny-bypassed-posted-0dca/client", "httpbin"
    assert [(one.about.endswith(callers.rpartition("/")[2]), len(one.edges)) for one in found] == [
        (True, 1),
        (False, 1),
    ]
    assert found[0].causes[0].startswith("secret ROOTCA of ")
    assert found[0].causes[0].endswith(servers)


@pytest.mark.parametrize("trusted", ["same", "both", "unread"])
def test_where_both_ends_trust_each_other_or_nothing_was_read_nothing_is_found(
    trusted: str,
) -> None:
    old, new = Authority("old"), Authority("new")
    ends = {
        "same": ((old, old), (old, old)),
        "both": ((old, old, new), (new, old, new)),
        "unread": ((old,), (new,)),
    }
    assert [*another_root.RULE.found(between(*ends[trusted]))] == []


def expired(there: Audited) -> list[Found]:
    return [*expired_certificate.RULE.found(there)]


def test_an_expired_certificate_is_found_with_its_pod_and_its_date() -> None:
    ca = Authority("mesh")
    there = between((ca, ca), (ca, ca))
    assert expired(there) == []
    names = [one.about.rpartition("/")[2] for one in expired(replace(there, now=LATER))]
    assert sorted(names) == ["client", "client", "httpbin", "httpbin"]
    causes = [one.causes[0] for one in expired(replace(there, now=LATER))]
    assert any("secret default, valid until " in one for one in causes)
    assert any("secret ROOTCA, valid until " in one for one in causes)


def test_of_files_a_certificate_counts_as_of_when_the_proxy_was_last_sent_anything() -> None:
    ca = Authority("mesh")
    edge = next(mutual())
    for updated, count in (("", 0), (NOW.isoformat(), 0), (LATER.isoformat(), 2)):
        pod = holding(edge.caller, ca, ca, updated=updated)
        assert len(expired(Audited([replace(edge, caller=pod)], Objects()))) == count


def test_what_is_no_certificate_is_a_sentence() -> None:
    edge = next(mutual())
    assert edge.caller.proxy is not None
    proxy = replace(edge.caller.proxy, certificates={"default": b"none"})
    pod = replace(edge.caller, read_proxy=lambda: proxy)
    with pytest.raises(BadEvidence, match="no certificate in PEM"):
        expired(Audited([replace(edge, caller=pod)], Objects(), NOW))
