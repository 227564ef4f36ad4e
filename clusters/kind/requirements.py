"""What this machine has and lacks for kind: its engine, and what the kernel allows its nodes.

Only the standard library. The numbers were measured on one node with the four failures' pods.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from clusters.doctor import machine
from clusters.doctor.requirement import Requirement
from clusters.embedded import requirements as embedded
from clusters.kind import engine as engines
from clusters.kind.engine import Engine
from clusters.stacks import cache

PROGRAMS = {"docker": "docker.io", "dockerd": "docker.io", "mmdebstrap": "mmdebstrap"}
"""Program: Debian's package."""
SYS, PROC = Path("/sys/fs/cgroup"), Path("/proc/sys")
INSTANCES, WATCHES = 30, 500
"""Inotify instances and watches of one node's root; measured: 28 and 323."""
IMAGES_GB, NODE_GB = 4.0, 2.5
"""The built images, as archives and in the engine; what a node unpacks. Measured: 3.4 and 2.3."""


def programs() -> Mapping[str, str]:
    """Return the system's programs that kind takes; those of the embedded cluster among them."""
    may_fetch = os.environ.get("LAB_IMAGES") != "built"
    return {**embedded.programs(), **PROGRAMS, **(embedded.FOR_OFFICIAL if may_fetch else {})}


def may_have_engine() -> bool:
    """Tell whether a Docker engine answers, or this user is root and could start one."""
    return machine.is_root() or engines.find() is not None


def runs_here() -> str:
    """Tell whether kind runs here, by the engine alone; `examine` looks at the rest."""
    if engines.find():
        whether = "yes: a Docker engine answers"
    elif machine.is_root() and shutil.which("dockerd"):
        whether = "yes: root can start a Docker engine"
    else:
        return "no: no Docker engine answers"
    if not machine.is_linux():
        return f"untried: {whether}"
    return f"{whether} (details: istio-lab doctor --cluster kind)"


def examine() -> list[Requirement]:
    """Return everything beyond programs, kernel and memory that kind needs."""
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


def _engine(found: Engine | None) -> Requirement:
    if found:
        info = found.info()
        whose = "started by the lab" if found.own else "yours, used as it is"
        told = f"{whose}: Docker {info['ServerVersion']}, storage {info['Driver']}"
        return Requirement("engine", True, told)
    if os.getuid() == 0 and shutil.which("dockerd"):
        return Requirement("engine", True, "none answers; the lab starts one for each use")
    why = "only root can start one" if os.getuid() else "there is no dockerd to start"
    return Requirement("engine", False, f"none answers, and {why}", "docker.io")


def _cgroups(root: Path = SYS) -> Requirement:
    if (root / "cgroup.controllers").exists():
        return Requirement("cgroups", True, "version 2")
    told = "version 1; Kubernetes 1.35 and later must be told to accept it, and the lab does so"
    return Requirement("cgroups", True, told)


def _inotify(nodes: int, root: Path = PROC) -> Requirement:
    """Examine the limits of inotify, which each user has once on the whole machine.

    Two clusters at once may need twice as much.
    """
    wanted = {"instances": INSTANCES * nodes, "watches": WATCHES * nodes}
    limits = {name: _number(root / "fs/inotify" / f"max_user_{name}") for name in wanted}
    short = [name for name, number in wanted.items() if limits[name] < number]
    told = ", ".join(f"{limits[name]} {name}" for name in wanted)
    told += f"; {wanted['instances']} and {wanted['watches']} needed"
    if short:
        raised = " ".join(f"fs.inotify.max_user_{name}={wanted[name] * 4}" for name in short)
        told += f": sudo sysctl {raised}"
    return Requirement("inotify", not short, told)


def _number(path: Path) -> int:
    """Return a limit of the kernel; a very large number where it cannot be read."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 1 << 31


def _disk(found: Engine | None, nodes: int) -> Requirement:
    """Examine the disk that holds the engine's data, or will hold it."""
    folder = Path(str(found.info()["DockerRootDir"]) if found else cache.root() / "engine")
    there = next(path for path in (folder, *folder.parents) if path.exists())
    has_images = bool(found and found.docker("images", "--quiet", "istio-failure-lab/node"))
    wanted = NODE_GB * nodes + (0 if has_images else IMAGES_GB)
    free = shutil.disk_usage(there).free / 1e9
    return Requirement(
        "disk", free >= wanted, f"{free:.1f} GB free at {there}, {wanted:.1f} needed"
    )


def _bridge(found: Engine | None, nodes: int, forward: str, root: Path = PROC) -> Requirement:
    """Examine whether the host's firewall lets nodes reach each other over their bridge.

    An engine that the lab did not start has its own rules for that.
    """
    if _number(root / "net/bridge/bridge-nf-call-iptables") != 1:
        return Requirement("bridge", True, "the host's firewall does not see its packets")
    ours = found is None or found.own
    told = f"its packets pass the host's firewall, whose FORWARD policy is {forward}"
    return Requirement("bridge", not (ours and nodes > 1 and forward == "DROP"), told)


def _forward() -> str:
    """Return the FORWARD chain's policy: ACCEPT, DROP, or unknown."""
    try:
        said = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True).stdout
    except OSError:
        said = ""
    policy = re.search(r"^-P FORWARD (\w+)", said, re.MULTILINE)
    return policy[1] if policy else "unknown"


def _capabilities(found: Engine | None, lacks: bool) -> Requirement:
    if not lacks:
        return Requirement("capabilities", True, "all that a privileged container asks for")
    told = "CAP_SYS_RESOURCE is missing: "
    if found and not found.own:
        return Requirement("capabilities", True, told + "Docker before 20.10.10 fails without it")
    return Requirement("capabilities", True, told + "the lab's engine does not ask for it")
