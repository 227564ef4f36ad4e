"""The engine and what is in it: who may end it, and whose clusters are swept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.kind import engine as engines
from clusters.kind.cluster import LOCK, OWNER, PREFIX, Kind
from clusters.kind.engine import Engine
from lab.common import locks, scratch
from lab.common.wait import until
from lab.model import store

pytestmark = [pytest.mark.kind, pytest.mark.timeout(600)]  # the first one makes the cluster
HOLDING = """import sys
from pathlib import Path
from lab.common import locks
with locks.held(Path(sys.argv[1]), int(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""
SHARED, ALONE = "1", "2"


@pytest.fixture
def holder() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that hold a lock until they are killed."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        with process:
            process.kill()


def hold(started: list[subprocess.Popen[str]], path: Path, kind: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", HOLDING, str(path), kind]
    pipe = subprocess.PIPE
    process = subprocess.Popen(argv, cwd=store.ROOT, stdin=pipe, stdout=pipe, text=True)
    started.append(process)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def another_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A place where an engine of the lab's own can be started beside all others; root's alone."""
    tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        place = Path(folder) / "run"
        monkeypatch.setattr(engines, "RUN", place)
        monkeypatch.setenv("LAB_CACHE", folder)
        yield place
        engines.stop()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start an engine")
def test_an_engine_with_no_container_is_ended_but_not_while_somebody_has_a_lease(
    another_engine: Path, holder: list[subprocess.Popen[str]]
) -> None:
    with engines.lease():
        engine = engines._start()
        assert engine.succeeds("version")
        engines.stop()
        assert engine.succeeds("version"), "it was ended before the first container"
    other = hold(holder, another_engine / "lease", SHARED)
    engines.stop()
    assert engine.succeeds("version"), "another process has a lease of it"
    other.kill()
    other.wait()
    engines.stop()
    assert not engine.succeeds("version")
    assert not another_engine.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start an engine")
def test_an_engine_starts_where_one_was_killed_and_its_pids_are_used_again(
    another_engine: Path,
) -> None:
    for file in ("dockerd.pid", "exec/containerd/containerd.pid"):
        (another_engine / file).parent.mkdir(parents=True, exist_ok=True)
        (another_engine / file).write_text(str(os.getpid()))
    with engines.lease():
        assert engines._start().succeeds("version")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start an engine")
def test_whoever_waits_while_the_engine_is_ended_starts_one_in_a_new_folder(
    another_engine: Path, holder: list[subprocess.Popen[str]]
) -> None:
    with engines.lease():
        engines._start()
    first = hold(holder, another_engine / "lock", ALONE)
    argv = [sys.executable, "-c", HOLDING, str(another_engine / "lock"), ALONE]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=store.ROOT, stdin=pipe, stdout=pipe, text=True) as waiting:
        assert waiting.stdout
        assert waiting.stdin
        until(lambda: _waits(waiting.pid), "the second to wait for the lock", timeout=10)
        (another_engine / "lock").unlink()
        first.kill()
        assert waiting.stdout.readline() == "held\n"
        with locks.tried(another_engine / "lock") as mine:
            assert not mine, "it holds a lock that nobody else can see"
        waiting.stdin.close()


def _waits(pid: int) -> bool:
    """/proc/locks names who waits for a lock with an arrow."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in lines)


@pytest.fixture
def node_like(kind_cluster: Kind) -> Iterator[dict[str, str]]:
    """Containers labelled as kind labels its nodes, never started: name of cluster -> container."""
    engine, made = kind_cluster._engine, {}
    image = engine.docker("ps", "--format={{.Image}}", _labelled(PREFIX + kind_cluster.name))
    pid = os.getpid()
    for name in (f"{PREFIX}run-{pid}0", f"{PREFIX}run-{pid}1", f"{PREFIX}lab-{pid}", f"run-{pid}0"):
        label = f"--label=io.x-k8s.kind.cluster={name}"
        argv = ["create", "--network=none", label, image.split()[0]]
        made[name] = engine.docker(*argv).strip()
    yield made
    for name, container in made.items():
        engine.run("rm", "--force", "--volumes", container)
        if name.startswith(PREFIX):
            Kind(name.removeprefix(PREFIX)).down()


def _labelled(cluster: str) -> str:
    return f"--filter=label=io.x-k8s.kind.cluster={cluster}"


def _there(engine: Engine, cluster: str) -> bool:
    return bool(engine.docker("ps", "--all", "--quiet", _labelled(cluster)).strip())


def test_the_next_command_ends_the_cluster_of_a_run_that_was_killed_and_no_other(
    kind_cluster: Kind, node_like: dict[str, str], holder: list[subprocess.Popen[str]]
) -> None:
    dead, living, standing, foreign = node_like
    states = {name: scratch.states() / f"kind-{name.removeprefix(PREFIX)}" for name in node_like}
    runs = {}
    for name in (dead, living, standing):
        states[name].mkdir()
        states[name].with_name(f"{states[name].name}{LOCK}").touch()
        runs[name] = hold(holder, states[name] / OWNER, ALONE)
    forgotten = scratch.states() / f"kind-run-{os.getpid()}2{LOCK}"
    forgotten.touch()
    kind_cluster.sweep()
    assert all(_there(kind_cluster._engine, name) for name in node_like)
    assert not forgotten.exists()
    for name in (dead, standing):
        runs[name].kill()
        runs[name].wait()
    kind_cluster.up(lambda _step: None)
    kind_cluster.sweep()
    there = [name for name in node_like if _there(kind_cluster._engine, name)]
    assert there == [living, standing, foreign]
    assert [name for name in runs if states[name].exists()] == [living, standing]
    assert not states[dead].with_name(f"{states[dead].name}{LOCK}").exists()
    assert kind_cluster.running()
    for name in (living, standing):
        runs[name].kill()
        runs[name].wait()
        Kind(name.removeprefix(PREFIX)).down()
    assert [name for name in node_like if _there(kind_cluster._engine, name)] == [foreign]
