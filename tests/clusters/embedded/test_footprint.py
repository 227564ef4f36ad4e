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
from listing import listing, process_of, started_in

from clusters.embedded import host
from clusters.embedded.cluster import Embedded
from lab import failures
from lab.common.errors import ClusterGone, LabError
from lab.common.wait import until
from lab.model import store
from lab.record import begin

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
    assert own.trouble() == "the cluster's first process was ended"
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


@pytest.mark.parametrize("owned", [True, False])
def test_killing_the_process_that_brings_it_up_ends_it_before_it_is_up(
    owned: bool, own: Embedded
) -> None:
    script = (
        "import sys\n"
        "from clusters.embedded.cluster import Embedded\n"
        "tell = lambda step: print(step, flush=True)\n"
        "Embedded(sys.argv[1]).up(tell, owned=sys.argv[2] == 'True')\n"
    )
    argv = [sys.executable, "-c", script, own.name, str(owned)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as starting:
        assert starting.stdout is not None
        assert starting.stdout.readline() == "Kubernetes API\n"
        starting.kill()
    until(lambda: gone(own), "the cluster to end with who was starting it", timeout=5)
    assert not own.running()


def test_a_ctrl_c_just_as_its_first_process_starts_leaves_nothing(own: Embedded) -> None:
    script = (
        "import os, signal, subprocess, sys\n"
        "from clusters.embedded.cluster import Embedded\n"
        "from lab.common import signals\n"
        "start = subprocess.Popen.__init__\n"
        "def interrupted(popen, argv, *rest, **options):\n"
        "    start(popen, argv, *rest, **options)\n"
        "    if 'clusters.embedded.node' in argv:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signals.listen()\n"
        "subprocess.Popen.__init__ = interrupted\n"
        "try:\n"
        "    Embedded(sys.argv[1]).up(print, owned=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('ended')\n"
    )
    argv = [sys.executable, "-c", script, own.name]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("ended\n"), done.stderr
    assert gone(own)
    assert not own.state.exists()


def test_a_control_plane_process_that_dies_ends_the_cluster_and_is_named(
    own: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.up(lambda _step: None)
    os.kill(process_of(own, "pilot-discovery"), signal.SIGKILL)
    until(lambda: gone(own), "the cluster to end", timeout=15)
    why = "istiod was ended by SIGKILL, and with it the whole cluster"
    assert own.trouble() == why
    assert why in own.status().text
    with pytest.raises(ClusterGone):
        own.exec(_nobody(), ["true"])
    monkeypatch.setenv("LAB_RUN", str(tmp_path))
    monkeypatch.setenv("LAB_CLUSTER_NAME", own.name)
    with pytest.raises(ClusterGone, match=why):  # and does not wait for it to come up
        begin.begin(failures.load("tcp_mtls"), "embedded", {})


def test_an_api_server_that_hangs_is_told_from_a_healthy_one(
    standing: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert standing.trouble() == ""
    monkeypatch.setattr("clusters.embedded.cluster.PATIENCE", 2.0)
    api = process_of(standing, "kube-apiserver")
    os.kill(api, signal.SIGSTOP)
    stat = Path(f"/proc/{api}/stat")
    try:
        until(lambda: ") T " in stat.read_text(), "it to be stopped", timeout=10)
        assert standing.trouble() == "kube-apiserver runs and does not answer any more"
    finally:
        os.kill(api, signal.SIGCONT)
    until(lambda: not standing.trouble(), "it to answer again", timeout=30)


def _nobody() -> object:
    from clusters.base import PodRef

    return PodRef("default", "nobody", "", ())


def test_whoever_started_it_ends_it_even_when_its_folder_is_gone() -> None:
    started = host.Launched(subprocess.Popen(["sleep", "20"]), os.open(os.devnull, os.O_WRONLY))
    started.release()
    assert started.process.returncode == -signal.SIGKILL


def test_a_second_up_finds_it_and_one_at_the_same_time_is_told(standing: Embedded) -> None:
    with host.locked(standing.state), pytest.raises(LabError, match="is running"):
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
        r"lab: cluster .* its first process is not visible from this pid namespace: .*\n", said
    )
    assert standing.running()
