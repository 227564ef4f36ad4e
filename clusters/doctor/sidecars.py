"""How many sidecars fit on this machine at a time.

Only the standard library: it runs before anything is set up.
"""

from __future__ import annotations

import os
from pathlib import Path

from clusters.doctor import machine
from clusters.doctor.requirement import Requirement

INSTANCES = 2
"""Inotify instances of one sidecar: its agent watches certificates and the API's root."""
GIGABYTES = 0.08
"""Memory of a pod with its sidecar; measured, see benchmarks/."""
UID = 1337
"""Whose processes sidecars are, on a cluster that root has started."""
PODS_OF_NODE = 110
"""How many pods a kubelet takes (https://kubernetes.io/docs/setup/best-practices/cluster-large/)"""

PODS_OF_CORE = 20
"""Pods at a time for each core: on a busy machine 64 on two cores lost calls to time-outs."""


def room(pods: int, hidden: int = 0, proc: Path = Path("/proc")) -> int:
    """Return how many more pods with a sidecar fit here.

    pods: how many the nodes take. hidden: as of `free_instances`.
    """
    limits = [pods, PODS_OF_CORE * len(os.sched_getaffinity(0))]
    instances = free_instances(hidden, proc)
    if instances is not None:
        limits.append(instances // INSTANCES)
    memory = machine.available_memory()
    if memory is not None:
        limits.append(int(memory / GIGABYTES))
    return max(0, min(limits))


def free_instances(hidden: int = 0, proc: Path = Path("/proc")) -> int | None:
    """Return how many inotify instances sidecars may still take; None where it is not told.

    hidden: how many are held by processes of the user's namespaces, which only those can see.

    The kernel counts them by user, over all clusters of this machine (man 7 inotify). Those of an
    ordinary user's namespaces count as the user's own (man 7 user_namespaces).
    """
    try:
        limit = int((proc / "sys/fs/inotify/max_user_instances").read_text())
    except (OSError, ValueError):
        return None
    return limit - hidden - held(UID if machine.is_root() else None, proc)


def held(uid: int | None = None, proc: Path = Path("/proc")) -> int:
    """Return how many inotify instances are held. uid: by whose processes; None: by all."""
    return sum(_instances(entry, uid) for entry in proc.glob("[0-9]*"))


def _instances(process: Path, uid: int | None) -> int:
    try:
        if uid is not None and process.stat().st_uid != uid:
            return 0
        with os.scandir(process / "fd") as files:
            return sum(os.readlink(file) == "anon_inode:inotify" for file in files)
    except OSError:
        return 0  # it has ended, or is another user's


def examine(wanted: int, hidden: int = 0, proc: Path = Path("/proc")) -> Requirement:
    """Examine how many sidecars fit. wanted: how many one failure has; hidden: as above.

    A sidecar that does not fit any more ends, again and again.
    """
    instances = free_instances(hidden, proc)
    if instances is None:
        return Requirement("sidecars", True, "unknown how many fit: /proc does not tell")
    fit = instances // INSTANCES
    told = (
        f"{fit} more fit, a failure needs up to {wanted}: each takes {INSTANCES} inotify "
        f"instances, of which {instances} are free; failures that do not fit together run in waves"
    )
    sudo = "" if machine.is_root() else "sudo "
    raised = f"for more: {sudo}sysctl -w fs.inotify.max_user_instances=1024"
    return Requirement("sidecars", fit >= wanted, told, ways=() if fit >= wanted else (raised,))
