"""The host before and after: nothing is left, however a cluster ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from listing import listing, started_in

from clusters.embedded import host
from clusters.embedded.cluster import Embedded
from lab import store
from lab.errors import ClusterGone, LabError
from lab.wait import until

pytestmark = pytest.mark.cluster


def processes(cluster: Embedded) -> list[str]:
    """What was started for this cluster: the folder above its own is this test's TMPDIR."""
    return started_in(str(cluster.state.parents[1]))


def gone(cluster: Embedded) -> bool:
    return not host.alive(cluster.state) and not processes(cluster)


def inside(cluster: Embedded) -> int:
    """How many processes live in the cluster's pid namespace, seen from the host."""
    first = host.first_pid(cluster.state)
    assert first
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    namespace = Path(f"/proc/{children[0]}/ns/pid").readlink()
    count = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            count += (entry / "ns/pid").readlink() == namespace
        except OSError:
            continue
    return count


@contextlib.contextmanager
def embedded() -> Iterator[Embedded]:
    """A cluster, not up yet, in a TMPDIR of its own: what is swept there is nobody else's."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="lab-") as own:
        patch.setenv("TMPDIR", own)
        patch.setattr(tempfile, "tempdir", None)
        made = Embedded(f"mark-{os.getpid()}")
        yield made
        made.down()


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    tmp_path_factory.getbasetemp()  # pytest's own folder is not to lie in ours
    with embedded() as made:
        yield made


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One that is up, for tests that leave it so."""
    tmp_path_factory.getbasetemp()
    with embedded() as made:
        made.up(lambda _step: None)
        yield made


def test_after_down_the_host_is_as_before(own: Embedded) -> None:
    before = listing()
    own.up(lambda _step: None)
    assert own.running()
    assert inside(own) > 8
    assert len(processes(own)) >= inside(own), "what is left behind would be found"
    assert listing() == before  # not even while it runs
    own.down()
    assert not processes(own)
    assert gone(own)
    assert listing() == before
    assert not own.state.exists()


def test_killing_the_first_process_ends_all_of_it(own: Embedded) -> None:
    before = listing()
    own.up(lambda _step: None)
    first = host.first_pid(own.state)
    assert first
    child = int(Path(f"/proc/{first}/task/{first}/children").read_text().split()[0])
    os.kill(first, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{child}").exists(), "the namespace to end", timeout=15)
    until(lambda: gone(own), "all processes to end", timeout=15)
    assert listing() == before
    assert not own.status().running
    own.down()
    assert not own.state.exists()


def test_killing_the_process_that_owns_it_ends_all_of_it(own: Embedded) -> None:
    script = (
        "import sys, time\n"
        "from clusters.embedded.cluster import Embedded\n"
        "Embedded(sys.argv[1]).up(lambda s: None, owned=True)\n"
        "print('up', flush=True)\n"
        "time.sleep(120)\n"
    )
    before = listing()
    with subprocess.Popen(
        [sys.executable, "-c", script, own.name], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        assert own.running()
        owner.kill()
    until(lambda: gone(own), "the cluster to end with its owner", timeout=15)
    assert listing() == before
    Embedded("another").down()  # anyone's `down` sweeps what dead ones left
    assert not own.state.exists()
    assert not own.state.with_name(f"{own.name}.lock").exists()


def test_a_control_plane_process_that_dies_ends_the_cluster_and_is_named(own: Embedded) -> None:
    own.up(lambda _step: None)
    first = host.first_pid(own.state)
    victims = [
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if _is(entry, b"pilot-discovery") and _descends(int(entry.name), first or 0)
    ]
    os.kill(victims[0], signal.SIGKILL)
    until(lambda: gone(own), "the cluster to end", timeout=15)
    assert "pilot-discovery ended" in own.status().text
    with pytest.raises(ClusterGone):
        own.exec(_nobody(), ["true"])


def _is(entry: Path, program: bytes) -> bool:
    try:
        return program in (entry / "cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return False


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def _nobody() -> object:
    from clusters.base import PodRef

    return PodRef("default", "nobody", "", ())


def test_whoever_started_it_ends_it_even_when_its_folder_is_gone() -> None:
    started = host.Launched(subprocess.Popen(["sleep", "20"]), owner=-1)
    started.release()
    assert started.process.returncode == -signal.SIGKILL


def test_a_second_up_finds_it_and_one_at_the_same_time_is_told(standing: Embedded) -> None:
    with host.locked(standing.state), pytest.raises(LabError, match="under way"):
        Embedded(standing.name).up(lambda _step: None)
    told: list[str] = []
    Embedded(standing.name).up(told.append)
    assert told == ["already up"]


def test_nothing_but_the_caller_can_read_its_credentials(standing: Embedded) -> None:
    assert standing.kubeconfig.stat().st_mode & 0o077 == 0
    assert standing.state.stat().st_mode & 0o077 == 0
    server = json.loads(standing.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    assert server.startswith("https://127.0.0.1:")


def test_from_another_pid_namespace_a_cluster_is_used_and_never_taken_for_dead(
    standing: Embedded,
) -> None:
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.getuid():
        apart += ["--user", "--map-current-user"]

    def lab(*words: str) -> tuple[int, str]:
        env = {**os.environ, "LAB_CLUSTER_NAME": standing.name}
        argv = [*apart, sys.executable, "-m", "lab", *words]
        done = subprocess.run(argv, cwd=store.ROOT, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    code, said = lab("status")
    assert (code, "is up" in said) == (0, True), said
    code, said = lab("up")
    assert (code, "already up" in said) == (0, True), said
    code, said = lab("down")
    assert code == 255
    assert re.fullmatch(
        r"lab: cluster .* its first process is not to be seen from here: .*\n", said
    )
    assert standing.running()
