"""Root file systems of Debian (or Ubuntu) packages, for images that no registry has to hold.

mmdebstrap makes them, from the very sources and keys that this machine's apt has; without root
it does so in a user namespace. Versions are what the mirror holds: a stable release's only move
with its security fixes. They are written down beside the images, in `packages.json`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.common import shell
from lab.common.errors import NeedsUnmet

LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/var/cache/apt/*")
_ORIGINS = ("Debian", "Ubuntu")


def sources() -> list[str]:
    """Return the distribution's own lines of this machine's apt sources, other vendors' left out.

    Raises NeedsUnmet where there is no apt, or its lists were never fetched.
    """
    form = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    try:
        told = subprocess.run(
            ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        told = ""
    lines = []
    for line in sorted(set(told.splitlines())):
        origin, uri, release, component = line.split("|")
        if origin in _ORIGINS:
            lines.append(f"deb {uri} {release} {component}")
    if not lines:
        raise NeedsUnmet(
            "building images needs Debian packages, and apt has no package lists here",
            hint="as root: apt-get update",
        )
    return lines


def rootfs(
    packages: Sequence[str], into: Path, hook: str = "", env: Mapping[str, str] | None = None
) -> None:
    """Write a root file system with these packages, as a tar archive.

    hook: shell text run at the end, with the file system's folder as `$1`. Raises CommandFailed
    with mmdebstrap's own words.
    """
    hook = f"{hook}\nrm -rf $1/var/lib/apt/lists/* $1/var/log/* $1/etc/apt/sources.list* "
    hook += "$1/etc/resolv.conf $1/etc/hostname $1/var/cache/ldconfig/*"
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
    argv += [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    argv += [f"--customize-hook={hook}", "", str(into), *sources()]
    shell.run(argv, cwd=into.parent, env={**os.environ, "SOURCE_DATE_EPOCH": "0", **(env or {})})
