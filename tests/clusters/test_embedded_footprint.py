"""The host before and after: nothing is left, however a cluster ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.embedded import host
from clusters.embedded.cluster import Embedded
from lab.errors import ClusterGone, LabError
from lab.wait import until

pytestmark = pytest.mark.cluster


def listing() -> dict[str, object]:
    """Links, rules, mounts and namespaces of the host, and no counters that move."""

    def run(*argv: str) -> list[str]:
        path = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        said = subprocess.run(argv, capture_output=True, text=True, env=path, check=True).stdout
        return [line for line in said.splitlines() if not line.startswith("#")]

    return {
        "links": run("ip", "-o", "-br", "link"),
        "named namespaces": run("ip", "netns", "list"),
        "nat": [line.partition("[")[0] for line in run("iptables-save", "-t", "nat")],
        "mounts": Path("/proc/self/mountinfo").read_text().splitlines(),
    }


def processes(name: str) -> list[str]:
    """Processes whose network namespace is not ours, or that name this cluster."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"/{name}/" in line:
            found.append(line)
    return found


def gone(cluster: Embedded) -> bool:
    return host.first_pid(cluster.state) is None and not processes(cluster.name)


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


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[Embedded]:
    made = Embedded(f"mark-{os.getpid()}-{abs(hash(request.node.name)) % 10000}")
    yield made
    made.down()


def test_after_down_the_host_is_as_before(own: Embedded) -> None:
    before = listing()
    own.up(lambda _step: None)
    assert own.running()
    assert inside(own) > 8
    assert listing() == before  # not even while it runs
    own.down()
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


def test_a_second_up_finds_it_and_one_at_the_same_time_is_told(own: Embedded) -> None:
    with host.locked(own.state), pytest.raises(LabError, match="under way"):
        Embedded(own.name).up(lambda _step: None)
    own.up(lambda _step: None)
    told: list[str] = []
    Embedded(own.name).up(told.append)
    assert told == ["already up"]


def test_nothing_but_the_caller_can_read_its_credentials(own: Embedded) -> None:
    own.up(lambda _step: None)
    assert own.kubeconfig.stat().st_mode & 0o077 == 0
    assert own.state.stat().st_mode & 0o077 == 0
    server = json.loads(own.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    assert server.startswith("https://127.0.0.1:")
