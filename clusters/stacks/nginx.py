"""nginx as Debian packages it, for pods: unpacked in the cache, and not installed.

To install it would start a web server on this machine.
"""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from clusters.base import Progress
from clusters.doctor import machine
from clusters.stacks import cache
from lab.common import shell
from lab.common.errors import CommandFailed, LabError

PACKAGES = ("nginx", "nginx-core")
"""The program is in the first, or on older releases in the second."""
APT = ("apt-get", "-qq", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10")
"""A machine without network is not kept waiting for what a run can do without."""
PROGRAM = Path("usr/sbin/nginx")


def folder() -> Path:
    """Return the folder that the program is in, or would be: another one for each release."""
    release = Path("/etc/os-release")
    of = release.read_bytes() if release.exists() else b""
    unpacked = cache.root() / f"nginx-{cache.key(of, platform.machine().encode())}"
    return unpacked / PROGRAM.parent


def ensure(progress: Progress) -> None:
    """Have nginx, where apt can fetch it.

    Where it cannot, a call that needs it says that it is not there, and nothing else is touched.
    """
    try:
        cache.obtain(folder().parents[1], _unpack, progress)
    except (OSError, LabError) as problem:
        progress(f"no nginx for pods: {problem}")


def _unpack(into: Path) -> None:
    try:
        _fetch(into)
    except CommandFailed:
        if not machine.is_root():
            raise
        subprocess.run([*APT, "update"], capture_output=True)
        _fetch(into)


def _fetch(into: Path) -> None:
    """Fetch the packages until one has the program. Raises CommandFailed in apt's own words."""
    for package in PACKAGES:
        shell.run([*APT, "download", package], cwd=into)
        for archive in into.glob("*.deb"):
            shell.run(["dpkg-deb", "-x", str(archive), str(into)], cwd=into)
            archive.unlink()
        if (into / PROGRAM).exists():
            return
    raise LabError(f"no {PROGRAM} in the packages {' and '.join(PACKAGES)}")
