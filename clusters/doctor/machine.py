"""What any machine has and lacks: system, Python, programs, memory; and how it is installed.

Only the standard library: it runs before anything is set up.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from clusters.doctor.requirement import Requirement
from lab.common import places

SYSTEM_PATH = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
)
"""Where programs are looked for: a user's PATH may lack what only root usually runs."""


def is_linux() -> bool:
    """Tell whether this system is a Linux."""
    return platform.system() == "Linux"


def is_root() -> bool:
    """Tell whether this process is root's. Windows has no such user."""
    return hasattr(os, "getuid") and os.getuid() == 0


def system(needs_linux: str) -> Requirement:
    """Examine the system. needs_linux: the kind of cluster that needs Linux; empty: none does."""
    found = platform.uname()
    told = f"{found.system} {found.release} {found.machine}"
    good = found.system == "Linux" or not needs_linux
    return Requirement(
        "system", good, told if good else f"{told}; the {needs_linux} cluster needs Linux"
    )


def python() -> Requirement:
    """Examine this Python: a venv needs ensurepip, which Debian packages separately."""
    version = ".".join(str(n) for n in sys.version_info[:3])
    has_venv = importlib.util.find_spec("ensurepip") is not None
    told = version if has_venv else f"{version} without ensurepip, which a venv needs"
    return Requirement("python", has_venv, told, "" if has_venv else "python3-venv")


def packages() -> Requirement:
    """Examine whether an installed wheel has the packages of its extra; a checkout's are locked."""
    lacking = ", ".join(sorted(places.missing()))
    ways = (places.set_up(),) if lacking else ()
    told = f"{lacking}: not installed" if lacking else "all that the lab's own clusters need"
    return Requirement("packages", not lacking, told, "", ways)


def programs(wanted: Mapping[str, str]) -> list[Requirement]:
    """Look for programs on SYSTEM_PATH. wanted: Debian's package of each."""
    return [_program(name, package) for name, package in wanted.items()]


def _program(name: str, package: str) -> Requirement:
    path = shutil.which(name, path=SYSTEM_PATH)
    return Requirement(name, path is not None, path or "not found", "" if path else package)


def memory(wanted: float) -> Requirement:
    """Examine the memory that is available. wanted: in gigabytes."""
    free = available_memory()
    if free is None:
        return Requirement("memory", True, "unknown: this system has no /proc/meminfo")
    return Requirement("memory", free >= wanted, f"{free:.1f} GB available, {wanted} GB needed")


def available_memory() -> float | None:
    """Return how many gigabytes of memory are available, or None where that is not told."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) / 1e6 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return None


def remedy(found: Iterable[Requirement]) -> str:
    """Return one command that installs every missing package, or nothing where none is missing."""
    packages = _packages(found)
    if not packages:
        return ""
    if shutil.which("apt-get") is None:
        return f"install with this system's package manager: {' '.join(packages)}"
    sudo = "" if is_root() else "sudo "
    return f"{sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"


def install(found: Iterable[Requirement]) -> bool:
    """Install what is missing, as root on Debian or Ubuntu; return whether that was done."""
    if not is_root() or shutil.which("apt-get") is None:
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", *_packages(found)],
    ):
        command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *words]
        print("+", " ".join(command), flush=True)
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        if done.returncode:
            return False
    return True


def _packages(found: Iterable[Requirement]) -> list[str]:
    return sorted({requirement.package for requirement in found if requirement.package})
