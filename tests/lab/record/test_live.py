"""Whole runs, as a person starts them, on the session's cluster."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubectl import Kubectl

from clusters.embedded.cluster import Embedded
from lab.common.wait import until
from lab.model import evidence, store
from lab.model.evidence import CLOCK_SLACK
from lab.truth_table import pinned

Run = Callable[..., tuple[int, str, Path]]

pytestmark = pytest.mark.cluster
FEW = ("https_in_mtls", "tcp_mtls", "sidecar_scope", "hijacked_port", "port_names")
"""A change of the whole mesh, a gateway, a Sidecar, an entry, and the table's cells: `make
reproduce` runs all failures, and a long test does so twenty times."""


@pytest.fixture
def lab_run(cluster: Embedded, tmp_path: Path) -> Run:
    """`istio-lab run ...`: its code, its terminal, and the run's folder."""

    def run(*words: str) -> tuple[int, str, Path]:
        env = {**os.environ, "LAB_CLUSTER_NAME": cluster.name, "LAB_RUNS": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-m", "lab", "run", *words],
            cwd=store.ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=280,
        )
        return done.returncode, done.stdout + done.stderr, (tmp_path / "latest").resolve()

    return run


def summary(folder: Path) -> dict:
    found: dict = json.loads((folder / "summary.json").read_text())
    return found


def test_what_is_run_is_as_pinned_and_only_evidence_is_left(
    lab_run: Run, cluster: Embedded, kubectl: Kubectl
) -> None:
    code, said, folder = lab_run(*FEW)
    assert code == 0, said
    assert ", which is up: " in said
    found = summary(folder)
    assert found["exit_code"] == 0
    assert not found["recorded"]
    istiod = float(cluster.status().details["pilot-discovery"])
    assert found["started"]["istiod"] == pytest.approx(istiod, abs=0.01)
    for failure in FEW[:-1]:
        recorded = evidence.load(folder / failure)
        began = min(call.started for call in recorded.calls)
        for at in found["started"][failure].values():
            assert istiod < at < began + CLOCK_SLACK, "this run's own proxies"
        ahead = [at for call in recorded.calls for at in (call.clock, call.clock_after)]
        now = time.time() - time.monotonic()
        assert all(at == pytest.approx(now, abs=CLOCK_SLACK) for at in ahead), "nobody set it"
        for name in ("notebook.ipynb", "graph.svg", "verdict.json", "captures", "config", "logs"):
            assert (folder / failure / name).exists()
    cells = found["cells"]["port_names"]
    assert {*cells.values()} == {"as pinned"}
    assert cells.keys() == {cell.key for cell in pinned.cells()}
    assert found["verdicts"]["port_names"]["C1"]["as_posted"] == "not reproduced"

    def namespaces() -> str:
        return kubectl("get", "namespaces")

    until(
        lambda: not any(one in namespaces() for one in ("with-istio", "table-strict")),
        "the namespaces to be gone",
        timeout=60,
    )
    mesh_wide = "/apis/security.istio.io/v1/namespaces/istio-system/peerauthentications"
    assert cluster.kube.items(mesh_wide) == [], "a change of the whole mesh is withdrawn"
    for path in folder.rglob("*.json*"):
        content = path.read_bytes()
        text = gzip.decompress(content) if path.suffix == ".gz" else content
        assert b"PRIVATE KEY" not in text


def test_with_the_world_turned_round_the_marker_is_read_and_the_verdict_turns(lab_run: Run) -> None:
    code, said, folder = lab_run("rest_mtls", "--params", "mtls=DISABLE rule=DISABLE")
    assert code == 3, said  # nothing is pinned for this experiment
    found = summary(folder)["verdicts"]["rest_mtls"]["C0"]
    assert (found["as_posted"], found["wire"][0]) == ("not reproduced", "plaintext")
    assert "plaintext, read 2x" in " ".join(said.split())


def test_killing_the_runner_ends_its_notebooks_and_kernels(
    cluster: Embedded, tmp_path: Path
) -> None:
    env = {**os.environ, "LAB_CLUSTER_NAME": cluster.name, "LAB_RUNS": str(tmp_path)}
    argv = [sys.executable, "-m", "lab", "run", "tcp_mtls"]
    with subprocess.Popen(argv, cwd=store.ROOT, env=env, stdout=subprocess.DEVNULL) as runner:
        until(lambda: list(tmp_path.glob("*/tcp_mtls/progress.log")), "a first call", timeout=60)
        runner.kill()
    place = str(tmp_path)

    def alive() -> list[str]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"LAB_RUNS={place}" in (entry / "environ").read_text(errors="replace"):
                    found.append(entry.name)
        return found

    until(lambda: not alive(), "its processes to end", timeout=15)


@pytest.fixture
def bypass(cluster: Embedded, kubectl: Kubectl) -> Iterator[None]:
    """A mesh whose sidecars, by a setting far from any policy, are not asked about port 9000."""
    path = "/api/v1/namespaces/istio-system/configmaps/istio-sidecar-injector"
    whole = cluster.kube.get(path)
    assert whole
    before = whole["data"]["values"]
    changed = json.loads(before)
    changed["global"]["proxy"]["excludeOutboundPorts"] = "9000"
    probe = ["run", "probe", "--image=lab/client", "--dry-run=server", "-o", "yaml",
             "--labels=sidecar.istio.io/inject=true"]  # fmt: skip

    def put(values: str) -> None:
        data = {**whole, "data": {**whole["data"], "values": values}}
        data["metadata"] = {"name": "istio-sidecar-injector", "namespace": "istio-system"}
        cluster.kube.apply([data])

    put(json.dumps(changed))
    kubectl.eventually('- "9000"', *probe)
    yield
    put(before)
    until(lambda: '- "9000"' not in kubectl(*probe), "the setting to be gone", timeout=15)


def test_a_mesh_that_changed_is_found_and_explained(lab_run: Run, bypass: None) -> None:
    code, said, folder = lab_run("tcp_mtls")
    assert code == 1, said
    found = summary(folder)["verdicts"]["tcp_mtls"]["C2"]
    assert (found["as_posted"], found["wire"][0]) == ("reproduced", "plaintext")
    assert found["agreement"] == "differs"
    assert "expected not reproduced / reproduced" in said
    assert "Exit code 1" in said
