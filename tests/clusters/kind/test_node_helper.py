"""The lab's helper on a node, asked about the pods that every kind cluster has."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.base import PodRef
from clusters.kind.cluster import Kind
from clusters.kind.node_helper import NodeHelper
from lab.common.errors import CommandFailed, LabError
from lab.common.wait import until
from lab.packets import pcap
from lab.record.world import ready, reference

pytestmark = [pytest.mark.kind, pytest.mark.timeout(600)]  # the first one makes the cluster
HEALTH = 8080
"""Where CoreDNS says that it lives."""


@pytest.fixture
def dns(kind_cluster: Kind) -> PodRef:
    """A pod of CoreDNS."""
    path, query = "/api/v1/namespaces/kube-system/pods", {"labelSelector": "k8s-app=kube-dns"}

    def look() -> list[PodRef]:
        found = kind_cluster.kube.items(path, query)
        return [reference(pod) for pod in found if ready(pod)]

    return until(look, "CoreDNS", timeout=60)[0]


@pytest.fixture
def helper(kind_cluster: Kind, dns: PodRef) -> NodeHelper:
    return kind_cluster._helper(dns.node)


def test_it_asks_a_server_on_a_pods_localhost(helper: NodeHelper, dns: PodRef) -> None:
    assert helper.get(dns.uid, HEALTH, "health") == (200, b"OK")
    assert helper.get(dns.uid, HEALTH, "nothing")[0] == 404


def test_it_says_why_there_is_no_answer(helper: NodeHelper, dns: PodRef, tmp_path: Path) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(LabError, match=f"no process of pod {nobody}"):
        helper.get(nobody, HEALTH, "health")
    with pytest.raises(LabError, match="connection refused"):
        helper.get(dns.uid, 9, "health")
    with pytest.raises(LabError, match="no such network interface"):
        helper.capture(dns.uid, "eth9", [HEALTH], tmp_path / "none.pcap")


def test_a_pod_without_an_envoy_is_told_in_a_sentence(kind_cluster: Kind, dns: PodRef) -> None:
    with pytest.raises(CommandFailed, match=f"Envoy of pod {dns.name} did not answer stats"):
        kind_cluster.proxy_admin(dns, "stats")


def test_captures_at_the_same_time_are_kept_apart(
    helper: NodeHelper, dns: PodRef, tmp_path: Path
) -> None:
    asked, other = tmp_path / "asked.pcap", tmp_path / "other.pcap"
    captures = [
        helper.capture(dns.uid, "lo", [HEALTH], asked),
        helper.capture(dns.uid, "lo", [HEALTH + 1], other),
    ]
    assert helper.get(dns.uid, HEALTH, "health")[0] == 200
    first, second = (capture.stop() for capture in captures)
    assert first.captured == len(list(pcap.read(asked))) >= 8
    assert (second.captured, list(pcap.read(other))) == (0, [])
    assert first.dropped == second.dropped == 0


def test_one_that_has_ended_is_noticed_and_another_is_started(
    kind_cluster: Kind, helper: NodeHelper, dns: PodRef, tmp_path: Path
) -> None:
    capture = helper.capture(dns.uid, "lo", [HEALTH], tmp_path / "cut.pcap")
    kind_cluster._engine.docker("exec", dns.node, "pkill", "lab-capture")
    with pytest.raises(LabError, match=f"helper on node {dns.node} has ended"):
        capture.stop()
    with pytest.raises(LabError, match=f"helper on node {dns.node} has ended"):
        helper.get(dns.uid, HEALTH, "health")
    assert kind_cluster._helper(dns.node).get(dns.uid, HEALTH, "health")[0] == 200
