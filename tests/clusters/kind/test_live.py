"""A kind cluster of two nodes in use: what is recorded, and what happens when it breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from listing import listing, outside

from clusters.kind import engine as engines
from clusters.kind.cluster import PREFIX, Kind
from lab.common.wait import until
from lab.model import store

pytestmark = [pytest.mark.kind(ends_cluster=True), pytest.mark.timeout(600)]
FAILURE = "grpc_h2c"
Run = Callable[..., tuple[int, str, Path]]


@pytest.fixture
def lab_run(kind_cluster: Kind, tmp_path: Path) -> Run:
    """`istio-lab run`: code, terminal and folder; a fault is made once the calls begin."""

    def run(fault: Callable[[], object] | None = None) -> tuple[int, str, Path]:
        argv = [sys.executable, "-m", "lab", "run", FAILURE, "--cluster", "kind"]
        env = {**os.environ, "LAB_CLUSTER_NAME": kind_cluster.name, "LAB_RUNS": str(tmp_path)}
        said = []
        with subprocess.Popen(
            argv,
            cwd=store.ROOT,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout
            for line in process.stdout:
                said.append(line)
                if fault and "before: " in line:
                    fault()
        return process.returncode, "".join(said), (tmp_path / "latest").resolve() / FAILURE

    return run


def on_node(cluster: Kind, script: str, role: str = "control-plane") -> str:
    """Run a line of shell on a node."""
    return cluster._engine.docker("exec", f"{PREFIX}{cluster.name}-{role}", "sh", "-c", script)


def fill(cluster: Kind) -> None:
    on_node(cluster, "head -c 64m /dev/zero > /var/log/full || true", "worker")
    assert on_node(cluster, "df --output=avail /var/log", "worker").split()[1] == "0"


def inconclusive(came: tuple[int, str, Path], why: str) -> dict:
    """One message, the code for it, and what was recorded until then; returns the evidence."""
    code, said, folder = came
    assert code == 3, said
    assert "Traceback" not in said
    told = [line for line in said.splitlines() if "nothing can be concluded" in line]
    assert len(told) == 1, said
    assert told[0].startswith(f"{FAILURE}: nothing can be concluded: {why}"), said
    assert "Exit code 3" in said
    recorded: dict = json.loads((folder / "evidence.json").read_text())
    assert recorded["trouble"].startswith(why)
    assert all(world["pods"] for world in recorded["worlds"].values())
    assert (folder / "verdict.json").exists()
    assert list((folder / "captures").glob("plain-*.pcap"))
    return recorded


def from_one_node_to_the_other(recorded: dict) -> tuple[str, str]:
    """Callers and who is asked are on a node each; returns the nodes."""
    found = set()
    for world in recorded["worlds"].values():
        nodes = {name: pod["node"] for name, pod in world["pods"].items()}
        callers = {nodes[name] for name in nodes if name in ("client", "stranger", "member")}
        callees = {nodes[name] for name in nodes if name in ("grpcbin", "httpbin")}
        assert (len(callers), len(callees)) == (1, 1), nodes
        found.add((callers.pop(), callees.pop()))
    (both,) = found
    assert both[0] != both[1]
    return both


def test_a_full_disk_on_a_node_is_one_message_and_what_was_recorded_is_kept(
    kind_cluster: Kind, lab_run: Run
) -> None:
    # Bounded: the logs of pods that start from now on lie in 64 MB of memory.
    on_node(kind_cluster, "mount -t tmpfs -o size=64m tmpfs /var/log && mkdir /var/log/pods")
    on_node(kind_cluster, "mount -t tmpfs -o size=64m tmpfs /var/log", "worker")
    try:
        came = lab_run(lambda: fill(kind_cluster))
        node = f"{PREFIX}{kind_cluster.name}-worker"
        recorded = inconclusive(came, f"the disk of node {node} is full: ")
        from_one_node_to_the_other(recorded)
        assert [call["outcome"] for call in recorded["calls"] if not call["lost"]]
    finally:
        for role in ("control-plane", "worker"):
            on_node(kind_cluster, "umount -l /var/log", role)
    assert kind_cluster.trouble() == ""


def test_an_istiod_that_cannot_be_reached_is_one_message_and_what_was_recorded_is_kept(
    kind_cluster: Kind, lab_run: Run
) -> None:
    def cut(option: str) -> None:
        for role in ("control-plane", "worker"):
            enter = "for p in $(pidof pilot-discovery); do nsenter -t $p -n iptables -w"
            on_node(kind_cluster, f"{enter} {option} INPUT ! -i lo -j DROP; done", role)

    try:
        came = lab_run(lambda: cut("-I"))
        recorded = inconclusive(came, "istiod cannot be reached: ")
        assert [call["outcome"] for call in recorded["calls"] if not call["lost"]]
        assert kind_cluster.trouble().startswith("istiod cannot be reached: ")
    finally:
        cut("-D")
    until(lambda: kind_cluster.trouble() == "", "istiod to be back", timeout=60)


def test_another_number_of_nodes_is_refused_with_what_to_do(kind_cluster: Kind) -> None:
    env = {**os.environ, "LAB_CLUSTER_NAME": kind_cluster.name, "LAB_NODES": "3"}
    argv = [sys.executable, "-m", "lab", "up", "--cluster", "kind"]
    done = subprocess.run(argv, cwd=store.ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 255
    told = (
        "is up with 2 nodes, Istio 1.31; 3 nodes, Istio 1.31 are asked for\n  -> run istio-lab down"
    )
    assert told in done.stderr
    assert kind_cluster.running()


@pytest.mark.long
def test_a_killed_node_is_one_message_and_the_next_run_has_a_new_cluster(
    kind_cluster: Kind, lab_run: Run
) -> None:
    node = f"{PREFIX}{kind_cluster.name}-control-plane"
    came = lab_run(lambda: kind_cluster._engine.docker("kill", node))
    why = f"node {node} does not run any more: it ended with code 137"
    inconclusive(came, why)
    assert why in kind_cluster.status().text
    told: list[str] = []
    kind_cluster.up(told.append)
    assert told[0] == f"{why}; making a new cluster"
    code, said, folder = lab_run()
    assert code == 0, said
    nodes = from_one_node_to_the_other(json.loads((folder / "evidence.json").read_text()))
    argv = [sys.executable, "-m", "lab", "why", str(folder.parent)]
    why_so = subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True).stdout
    assert "from node {} to node {}".format(*nodes) in why_so


def test_after_down_the_host_is_as_before(
    kind_cluster: Kind, host_before_kind: dict[str, list[str]]
) -> None:
    engine = kind_cluster._engine
    label = f"--filter=label=io.x-k8s.kind.cluster={PREFIX}{kind_cluster.name}"
    nodes = engine.docker("ps", "--all", "--quiet", label).split()
    form = "--format={{range .Mounts}}{{.Name}} {{end}}"
    volumes = engine.docker("inspect", form, *nodes).split()
    assert len(nodes) == 2
    assert len(volumes) == 2
    assert _processes(kind_cluster), "what is left behind would be found"
    kind_cluster.down()
    until(lambda: not _processes(kind_cluster), "its processes to end", timeout=10)
    assert not kind_cluster.state.exists()
    if host_before_kind["engine"] == ["none"]:
        assert engines.find() is None
        assert not engines.RUN.exists()
        after = {**listing(), **outside()}
        assert after == host_before_kind
    else:  # others use the engine meanwhile, and may come and go
        assert not engine.docker("ps", "--all", "--quiet", label).strip()
        assert not set(volumes) & set(engine.docker("volume", "ls", "--quiet").split())
        assert outside() == {name: host_before_kind[name] for name in outside()}


def _processes(cluster: Kind) -> list[str]:
    """Of this cluster's, outside its containers."""
    wanted, found = os.fsencode(cluster.state), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if wanted in command:
            found.append(command.decode())
    return found
