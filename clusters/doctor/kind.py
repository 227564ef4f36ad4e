"""What this machine has and lacks for kind: its engine, and what the kernel allows its nodes.

Only the standard library. What is measured was measured on one node with the four failures' pods.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from clusters.doctor.kernel import Finding
from clusters.kind import engine as engines
from clusters.kind.engine import Engine
from clusters.stacks import cache

SYS, PROC = Path("/sys/fs/cgroup"), Path("/proc/sys")
INSTANCES, WATCHES = 30, 500
"""Inotify instances and watches of one node's root; measured: 28 and 323."""
OF_SIDECARS = 90
"""Instances of the one user that all sidecars are; measured: 86, of 29 sidecars."""
IMAGES_GB, NODE_GB = 4.0, 2.5
"""The built images, as archives and in the engine; what a node unpacks. Measured: 3.4 and 2.3."""


def examine() -> list[Finding]:
    """Everything beyond programs and memory that kind needs."""
    asked = os.environ.get("LAB_NODES", "")
    nodes = int(asked) if asked.isdecimal() else 1
    found = engines.find()
    return [
        _engine(found),
        _cgroups(),
        _inotify(nodes),
        _disk(found, nodes),
        _bridge(found, nodes, _forward()),
        _capabilities(found, engines.lacks_sys_resource()),
    ]


def _engine(found: Engine | None) -> Finding:
    if found:
        info = found.info()
        whose = "the lab's own" if found.own else "yours, used as it is"
        told = f"{whose}: Docker {info['ServerVersion']}, storage {info['Driver']}"
        return Finding("engine", True, told)
    if os.getuid() == 0 and shutil.which("dockerd"):
        return Finding("engine", True, "none answers; one of the lab's own is started for each use")
    why = "only root can start one" if os.getuid() else "there is no dockerd to start"
    return Finding("engine", False, f"none answers, and {why}", "docker.io")


def _cgroups(root: Path = SYS) -> Finding:
    if (root / "cgroup.controllers").exists():
        return Finding("cgroups", True, "version 2")
    told = "version 1, which Kubernetes refuses from 1.35 on unless told not to: the lab tells it"
    return Finding("cgroups", True, told)


def _inotify(nodes: int, root: Path = PROC) -> Finding:
    """Limits are each user's on the whole machine: two clusters at once may need twice that."""
    wanted = {"instances": max(INSTANCES * nodes, OF_SIDECARS), "watches": WATCHES * nodes}
    limits = {name: _number(root / "fs/inotify" / f"max_user_{name}") for name in wanted}
    short = [name for name, number in wanted.items() if limits[name] < number]
    told = ", ".join(f"{limits[name]} {name}" for name in wanted)
    told += f"; {wanted['instances']} and {wanted['watches']} wanted"
    if short:
        raised = " ".join(f"fs.inotify.max_user_{name}={wanted[name] * 4}" for name in short)
        told += f": sysctl {raised}"
    return Finding("inotify", not short, told)


def _number(path: Path) -> int:
    """A limit of the kernel's; one that cannot be read is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 1 << 31


def _disk(found: Engine | None, nodes: int) -> Finding:
    """Below the engine's data; of a folder that is not there yet, below what will hold it."""
    folder = Path(str(found.info()["DockerRootDir"]) if found else cache.root() / "engine")
    there = next(path for path in (folder, *folder.parents) if path.exists())
    has_images = bool(found and found.docker("images", "--quiet", "istio-failure-lab/node"))
    wanted = NODE_GB * nodes + (0 if has_images else IMAGES_GB)
    free = shutil.disk_usage(there).free / 1e9
    return Finding("disk", free >= wanted, f"{free:.1f} GB free at {there}, {wanted:.1f} wanted")


def _bridge(found: Engine | None, nodes: int, forward: str, root: Path = PROC) -> Finding:
    """Nodes speak over a bridge: where its packets pass the host's firewall, that must let them.

    An engine that is not ours has rules of its own for that.
    """
    if _number(root / "net/bridge/bridge-nf-call-iptables") != 1:
        return Finding("bridge", True, "its packets do not pass the host's firewall")
    ours = found is None or found.own
    told = f"its packets pass the host's firewall, whose policy for them is {forward}"
    return Finding("bridge", not (ours and nodes > 1 and forward == "DROP"), told)


def _forward() -> str:
    """The FORWARD chain's policy: ACCEPT, DROP, or unknown."""
    try:
        said = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True).stdout
    except OSError:
        said = ""
    policy = re.search(r"^-P FORWARD (\w+)", said, re.MULTILINE)
    return policy[1] if policy else "unknown"


def _capabilities(found: Engine | None, lacks: bool) -> Finding:
    if not lacks:
        return Finding("capabilities", True, "none is missing that a privileged container asks for")
    told = "CAP_SYS_RESOURCE is not to be had here: "
    if found and not found.own:
        return Finding("capabilities", True, told + "Docker before 20.10.10 would fail for that")
    return Finding("capabilities", True, told + "the lab's own engine asks for all but that one")
