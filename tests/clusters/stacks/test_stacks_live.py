"""Stacks beside each other: another Istio with another Envoy than the default ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubectl import Kubectl

from clusters.base import PodRef
from clusters.embedded.cluster import Embedded
from lab.common.errors import LabError
from lab.model import evidence, store

# Another Istio may be built first.
pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(1200)]

OTHER = {"LAB_ISTIO": "1.30", "LAB_ENVOY": "1.40.0"}
TOLD = "Istio 1.30, Envoy 1.40.0, Kubernetes v1.36.3"


@pytest.fixture(scope="module")
def other(cluster: Embedded) -> Iterator[Embedded]:
    """A cluster of another stack, up while the session's is."""
    made = Embedded(f"other-{cluster.name}")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in OTHER.items():
            patch.setenv(name, value)
        made.up(lambda _step: None, owned=True)
    try:
        yield made
    finally:
        made.down()


def versions(cluster: Embedded) -> tuple[str, str]:
    """What a sidecar there says of itself: its agent's Istio, and its Envoy."""
    kubectl = Kubectl(cluster)
    kubectl("create", "namespace", "asked")
    kubectl("label", "namespace", "asked", "istio-injection=enabled")
    kubectl("run", "client", "--image=lab/client", "-n", "asked")
    kubectl("wait", "--for=condition=Ready", "pod/client", "-n", "asked", "--timeout=60s")
    argv = ["curl", "-s", "http://127.0.0.1:15000/server_info"]
    said = json.loads(cluster.exec(PodRef("asked", "client", "", ()), argv).stdout)
    kubectl("delete", "namespace", "asked", "--wait=false")
    return said["node"]["metadata"]["ISTIO_VERSION"], said["version"].split("/")[1]


def test_clusters_of_two_stacks_are_up_at_once_and_each_says_its_own(
    cluster: Embedded, other: Embedded
) -> None:
    assert versions(other) == ("1.30", "1.40.0")
    assert versions(cluster) == (cluster.stack.istio, cluster.stack.envoy)
    assert cluster.stack.istio != other.stack.istio
    assert other.status().text.endswith(f"is up: {TOLD}")
    assert cluster.status().text.endswith(f"is up: {cluster.stack}")
    assert cluster.bin != other.bin


def test_a_cluster_of_another_stack_than_is_asked_for_does_not_fit_and_is_left_as_it_is(
    cluster: Embedded, other: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster.fits()
    assert other.fits(), "nothing is asked for: what is up is used"
    monkeypatch.setenv("LAB_ISTIO", "1.30")
    assert not other.fits(), "its Envoy is not 1.30's own"
    monkeypatch.setenv("LAB_ENVOY", "1.40.0")
    assert other.fits()
    assert not cluster.fits()
    with pytest.raises(
        LabError, match=r"is up with another stack than asked for: Istio 1\.31.*\n.*down"
    ):
        cluster.up(lambda _step: None)
    assert cluster.running()


def test_a_run_of_two_stacks_is_as_pinned_on_each_and_ends_with_their_comparison(
    tmp_path: Path,
) -> None:
    env = {**os.environ, "LAB_ISTIO": "1.30,1.31", "LAB_RUNS": str(tmp_path)}
    env["LAB_CLUSTER_NAME"] = f"stacks-{os.getpid()}"
    argv = [sys.executable, "-m", "lab", "run", "rest_mtls"]
    done = subprocess.run(argv, cwd=store.ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    compared = done.stdout.partition("embedded, Istio 1.30 (left) and embedded, Istio 1.31 (right)")
    assert "plane answers agree" in compared[2]
    runs = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("2*/summary.json"))]
    assert [run["stack"]["istio"] for run in runs] == ["1.30", "1.31"]
    assert [run["command"] for run in runs] == [
        f"make reproduce ISTIO={istio} FAILURE=rest_mtls" for istio in ("1.30", "1.31")
    ]
    for run in runs:
        recorded = evidence.load(tmp_path / run["run"] / "rest_mtls")
        pods = [pod for world in recorded.worlds.values() for pod in world.pods.values()]
        assert {pod.envoy_version for pod in pods if pod.sidecar} == {run["stack"]["envoy"]}
