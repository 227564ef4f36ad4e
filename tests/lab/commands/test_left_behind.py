"""What a killed run left on a standing cluster goes with the next one; what is in use stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.base import RUN_LABEL
from clusters.embedded.cluster import Embedded
from clusters.kube import Obj
from lab import failures
from lab.common import locks
from lab.common.errors import ClusterGone
from lab.common.wait import until
from lab.record import mesh_lock, world
from lab.record.remedy_trial import Trial
from lab.record.world import LiveWorld

MESH = "/apis/security.istio.io/v1/namespaces/istio-system/peerauthentications/default"


def labelled(name: str, run: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {RUN_LABEL: run}},
    }


@pytest.mark.cluster
def test_namespaces_and_changes_of_the_mesh_of_a_killed_run_are_removed(
    cluster: Embedded, tmp_path: Path
) -> None:
    kube = cluster.kube
    kube.apply([labelled("of-the-dead", "dead"), labelled("of-the-living", "living")])
    failure = failures.load("https_in_mtls")
    remedy = next(one for one in failure.remedies if one.scope == "mesh")
    live = LiveWorld(failure.world(remedy.call.world), "of-the-dead", "dead")
    kube.apply(Trial.changes(remedy, live))
    marks = tmp_path / "mesh.runs"
    marks.mkdir()
    (marks / "dead").touch()  # nobody holds it
    with (
        locks.held(marks / "living"),
        mesh_lock.marked(tmp_path / "mesh.lock", "next", lambda run: world.remove(cluster, run)),
    ):
        assert sorted(mark.name for mark in marks.iterdir()) == ["living", "next"]
        until(lambda: not world.namespaces_of_run(cluster, "dead"), "it to be gone", timeout=60)
        assert kube.get(MESH) is None
        assert world.namespaces_of_run(cluster, "living") == ["of-the-living"]
    world.remove(cluster, "living")


def test_a_run_that_ended_otherwise_leaves_no_mark(tmp_path: Path) -> None:
    with (
        pytest.raises(ClusterGone),
        mesh_lock.marked(tmp_path / "mesh.lock", "one", lambda _run: None),
    ):
        raise ClusterGone("ended")
    assert list((tmp_path / "mesh.runs").iterdir()) == []
