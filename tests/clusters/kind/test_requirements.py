"""What the doctor says of kind: of this machine as it is, and of limits as files hold them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.kind import engine as engines
from clusters.kind import requirements
from clusters.kind.engine import Engine
from lab.model import store

OURS, YOURS = Engine("unix:///nowhere", own=True), Engine("", own=False)
WHAT = ["engine", "cgroups", "inotify", "disk", "bridge", "capabilities"]


def kernel(root: Path, **values: int) -> Path:
    """Limits as the kernel shows them, below another root."""
    for name, value in values.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return root


def test_the_doctor_tells_all_that_kind_needs_with_the_standard_library_alone() -> None:
    argv = [sys.executable, "-S", "-m", "lab", "doctor", "--cluster", "kind"]
    done = subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True)
    told = {line[9:].split()[0]: line for line in done.stdout.splitlines() if line}
    assert set(WHAT) <= set(told), done.stdout + done.stderr
    limit = Path("/proc/sys/fs/inotify/max_user_instances").read_text().strip()
    assert f"{limit} instances" in told["inotify"]


def test_only_what_prevents_a_run_is_missing(tmp_path: Path) -> None:
    enough = kernel(tmp_path, fs__inotify__max_user_instances=128)
    assert requirements._inotify(3, enough).good
    assert not requirements._inotify(5, enough).good
    assert not requirements._inotify(1, kernel(tmp_path, fs__inotify__max_user_instances=20)).good
    enough = kernel(tmp_path, fs__inotify__max_user_instances=128)
    few = kernel(tmp_path, fs__inotify__max_user_watches=100)
    found = requirements._inotify(1, few)
    assert not found.good
    assert "sysctl fs.inotify.max_user_watches=2000" in found.told


def test_cgroups_of_version_1_are_told_and_are_no_obstacle(tmp_path: Path) -> None:
    old = requirements._cgroups(tmp_path)
    (tmp_path / "cgroup.controllers").touch()
    new = requirements._cgroups(tmp_path)
    assert (old.good, new.good) == (True, True)
    assert "version 1; Kubernetes 1.35" in old.told
    assert new.told == "version 2"


@pytest.mark.parametrize(
    ("found", "nodes", "policy", "good"),
    [
        (OURS, 3, "DROP", False),
        (None, 3, "DROP", False),
        (OURS, 1, "DROP", True),
        (OURS, 3, "ACCEPT", True),
        (YOURS, 3, "DROP", True),
    ],
)
def test_a_firewall_that_forwards_nothing_parts_the_nodes_of_our_engine_alone(
    found: Engine | None, nodes: int, policy: str, good: bool, tmp_path: Path
) -> None:
    root = kernel(tmp_path, **{"net__bridge__bridge-nf-call-iptables": 1})
    assert requirements._bridge(found, nodes, policy, root).good is good
    assert requirements._bridge(found, nodes, policy, tmp_path / "none").good


def test_a_lacking_capability_is_told_with_who_minds_it() -> None:
    told = [requirements._capabilities(*case).told for case in ((OURS, True), (YOURS, True))]
    assert "the lab's engine does not ask for it" in told[0]
    assert "Docker before 20.10.10" in told[1]
    assert "all that a privileged container" in requirements._capabilities(OURS, False).told
    dump = subprocess.run(["setpriv", "--dump"], capture_output=True, text=True).stdout
    bound = next(line for line in dump.splitlines() if "bounding set" in line)
    assert engines.lacks_sys_resource() is ("sys_resource" not in bound)


def test_disk_is_asked_for_where_the_engine_keeps_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE", "/dev/shm/not-there-yet")
    small = requirements._disk(None, 1)
    free = os.statvfs("/dev/shm")
    assert (
        f"{free.f_bavail * free.f_frsize / 1e9:.1f} GB free at /dev/shm, 6.5 needed" in small.told
    )
    assert not requirements._disk(None, 10**6).good
