"""istioctl as `istio-lab shell` offers it: what it asks proxies and istiod for is answered."""

from __future__ import annotations

import re
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubectl import Kubectl

from clusters.base import OwnCluster
from clusters.embedded.cluster import Embedded
from clusters.kind.cluster import Kind
from clusters.stacks import assembly

NAMESPACE = "istioctl"
WORLD = """
apiVersion: v1
kind: Pod
metadata: {name: httpbin, labels: {app: httpbin, sidecar.istio.io/inject: "true"}}
spec:
  containers:
  - {name: app, image: "lab/client:1", command: [sleep, "3600"]}
  terminationGracePeriodSeconds: 0
---
apiVersion: v1
kind: Service
metadata: {name: httpbin}
spec: {selector: {app: httpbin}, ports: [{name: http, port: 8000, targetPort: 8080}]}
"""
CLUSTERS = [
    pytest.param("cluster", id="embedded", marks=pytest.mark.cluster),
    pytest.param("kind_cluster", id="kind", marks=pytest.mark.kind),
]


@pytest.fixture(params=CLUSTERS)
def mesh(request: pytest.FixtureRequest) -> OwnCluster:
    found: Embedded | Kind = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def deployed() -> Iterator[dict[str, Kubectl]]:
    """The clusters on which there is a sidecar. Others' proxies are told of its Service too."""
    made: dict[str, Kubectl] = {}
    yield made
    for kubectl in made.values():
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def argv(mesh: OwnCluster, deployed: dict[str, Kubectl]) -> list[str]:
    """istioctl's own words on this cluster, with one sidecar in it."""
    kubectl = Kubectl(mesh)
    if mesh.name not in deployed:
        kubectl("create", "namespace", NAMESPACE)
        deployed[mesh.name] = kubectl
        kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=WORLD)
    kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "pod/httpbin", "--timeout=60s")
    program = assembly.wanted("1.31").tools.target / "bin" / "istioctl"
    return [str(program), f"--kubeconfig={mesh.kubeconfig}"]


def said(argv: list[str], *words: str) -> str:
    done = subprocess.run([*argv, *words], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


VERBS = {
    "version": r"control plane version: 1\.31\s+data plane version: 1\.31 ",
    "proxy-status": r"httpbin\.istioctl +Kubernetes +istiod-\S+ +1\.31",
    f"proxy-status httpbin.{NAMESPACE}": r"Clusters Match\s+Listeners Match",
    f"proxy-config all httpbin.{NAMESPACE}": r"Envoy Version: \d",
    f"proxy-config clusters httpbin.{NAMESPACE}": r"httpbin\.istioctl\.svc\.cluster\.local +8000",
    f"proxy-config listeners httpbin.{NAMESPACE}": r"0\.0\.0\.0 +15001",
    f"proxy-config routes httpbin.{NAMESPACE}": r"\n8000 ",
    f"proxy-config secret httpbin.{NAMESPACE}": r"default +Cert Chain +ACTIVE +true",
    f"x describe pod httpbin.{NAMESPACE}": r"Service: httpbin\.istioctl",
    "analyze -A": r"Info \[IST|No validation issues",
}


@pytest.mark.timeout(600)  # whichever test is first makes the kind cluster
@pytest.mark.parametrize("words", VERBS)
def test_a_verb_is_answered(argv: list[str], words: str) -> None:
    assert re.search(VERBS[words], said(argv, *words.split()))


@pytest.mark.timeout(600)
def test_a_bug_report_has_istiods_log_and_what_it_knows(argv: list[str], tmp_path: Path) -> None:
    said(argv, "bug-report", "--dir", str(tmp_path / "work"), "--output-dir", str(tmp_path))
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as report:
        names = report.getnames()
    for wanted in ("discovery.log", "debug/syncz", "metrics"):
        assert any(
            re.search(rf"istio/istio-system/istiod-[^/]+/{wanted}", name) for name in names
        ), names


@pytest.mark.timeout(600)
def test_dashboard_envoy_forwards_to_the_proxys_admin_port(argv: list[str]) -> None:
    words = ["dashboard", "envoy", f"httpbin.{NAMESPACE}", "--browser=false", "--port=0"]
    with subprocess.Popen([*argv, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{address}/ready", timeout=20) as answer:
            assert answer.read().strip() == b"LIVE"
        process.terminate()
