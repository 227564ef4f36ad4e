"""What the kernel allows this user of all that the embedded cluster does; found by trying it.

Only the standard library. Each step is tried by itself, in namespaces that end with it. Why a
kernel refuses is read from its own settings: man 7 user_namespaces; man 2 seccomp; Ubuntu 24.04's:
https://ubuntu.com/blog/ubuntu-23-10-restricted-unprivileged-user-namespaces
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clusters.doctor.requirement import Requirement
from lab.common import places

PROC = Path("/proc")
SYS_ADMIN = 21
"""CAP_SYS_ADMIN, linux/capability.h."""
APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
WAYS_OF_APPARMOR = (
    f"AppArmor's {APPARMOR} is 1 (Ubuntu 24.04). Do one of these:",
    f"  sudo {places.REPRODUCE}",
    f"  sudo sysctl -w {APPARMOR}=0   (allows it to every program, until the next boot)",
    "  sudo apparmor_parser -r /etc/apparmor.d/unshare   (allows it to unshare alone); the file:",
    "    abi <abi/4.0>,",
    "    include <tunables/global>",
    "    profile unshare /usr/bin/unshare flags=(unconfined) { userns, }",
)


@dataclass(frozen=True)
class Step:
    """Something that the embedded cluster does, and what it takes."""

    what: str
    script: str
    """Shell text, run in namespaces as the cluster's are."""
    needs: str


INSIDE = (
    Step("mounts", "mount -t tmpfs tmpfs /run && mount --bind /usr /mnt", "CAP_SYS_ADMIN in them"),
    Step(
        "veth pair",
        "ip link add lab0 type veth peer name lab1 && ip link set lo up",
        "the kernel module veth: as root, modprobe veth",
    ),
    Step(
        "nat rule",
        "mount -t tmpfs tmpfs /run && iptables -t nat -A OUTPUT -p tcp -m owner"
        " --uid-owner 1337 -j REDIRECT --to-ports 15001",
        "the kernel's modules for it: as root, modprobe -a nf_nat xt_owner xt_REDIRECT nft_compat",
    ),
    Step(
        "private root",
        "bwrap --die-with-parent --unshare-pid --ro-bind / / --proc /proc --dev /dev --"
        " setpriv --reuid=1337 --regid=1337 --clear-groups -- true",
        "bwrap without a file capability of its own, and user 1337 in these namespaces",
    ),
)


def examine(path: str) -> list[Requirement]:
    """Try each step, and return how it went; what needs a step that failed is not tried.

    path: where programs are looked for, as PATH has it.
    """
    outermost = ["unshare"] if os.getuid() == 0 else ["unshare", "newuidmap", "newgidmap"]
    if not all(shutil.which(name, path=path) for name in outermost):
        return []  # reported as a missing program
    found = []
    for requirement in _around(path):
        found.append(requirement)
        if not requirement.good:
            return found
    return [*found, *(_inside(step, path) for step in INSIDE if _has_program(step, path))]


def _around(path: str) -> Iterator[Requirement]:
    """Try the namespaces themselves, the outermost first."""
    user: list[str] = []
    if os.getuid():
        user = ["--user", "--map-root-user"]
        yield _tried("user namespace", [*user, "true"], path, why_not())
        user.append("--map-auto")
        yield _tried("subordinate ids", [*user, "true"], path, _no_range())
    others = ["--net", "--mount", "--pid", "--ipc", "--fork", "--mount-proc"]
    yield _tried("namespaces", [*user, *others, "true"], path, why_not())


def _has_program(step: Step, path: str) -> bool:
    """Tell whether the step's programs are here; a missing one is reported as such."""
    wanted = {"ip", "iptables", "bwrap", "setpriv", "mount"} & {*step.script.split()}
    return all(shutil.which(name, path=path) for name in wanted)


def _inside(step: Step, path: str) -> Requirement:
    argv = ["--net", "--mount", "--pid", "--ipc", "--fork", "--mount-proc"]
    if os.getuid():
        argv += ["--user", "--map-root-user", "--map-auto"]
    argv += ["sh", "-c", step.script]
    return _tried(step.what, argv, path, (f"This needs {step.needs}.",))


def _tried(what: str, argv: list[str], path: str, ways: tuple[str, ...]) -> Requirement:
    done = subprocess.run(
        ["unshare", *argv],
        env={**os.environ, "PATH": path, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    if done.returncode == 0:
        return Requirement(what, True, "tried")
    said = done.stderr.strip().splitlines()[-1:] or [f"code {done.returncode}, and no message"]
    return Requirement(what, False, said[0], ways=ways)


def why_not(proc: Path = PROC) -> tuple[str, ...]:
    """Return each setting of this kernel that may refuse a namespace, and how to change it."""
    told: list[str] = []
    if os.getuid():
        told += WAYS_OF_APPARMOR if _setting(proc, APPARMOR) == "1" else ()
        told += _switch(proc, "kernel.unprivileged_userns_clone", "1")
    for kind in ("user", "net", "mnt", "pid", "ipc"):
        told += _switch(proc, f"user.max_{kind}_namespaces", "15000")
    status = dict(
        line.split(":\t", 1)
        for line in (proc / "self/status").read_text().splitlines()
        if ":\t" in line
    )
    if os.getuid() == 0 and not int(status["CapEff"], 16) >> SYS_ADMIN & 1:
        told.append("This root lacks CAP_SYS_ADMIN, as in a container: docker run --privileged")
    if status.get("Seccomp", "0") != "0":
        told.append(
            "Some system calls are refused here (seccomp), as in a container: docker run "
            "--privileged, or --security-opt seccomp=unconfined"
        )
    return tuple(told) or ("No setting of this kernel explains it; it may work as root.",)


def _switch(proc: Path, name: str, on: str) -> list[str]:
    """Return how to change a setting, where it is 0."""
    off = _setting(proc, name) == "0"
    return [f"{name} is 0 here: sudo sysctl -w {name}={on}; or run as root"] if off else []


def _setting(proc: Path, name: str) -> str:
    """Return a sysctl's value; nothing where this kernel does not have it."""
    try:
        return (proc / "sys" / name.replace(".", "/")).read_text().strip()
    except OSError:
        return ""


def _ends(path: Path) -> list[int]:
    """Return where the ranges of a file like /etc/subuid end: `name:first:count` in each line."""
    try:
        ranges = [line.split(":") for line in path.read_text().splitlines()]
    except OSError:
        return []
    return [int(one[1]) + int(one[2]) for one in ranges if len(one) == 3]


def _no_range() -> tuple[str, ...]:
    """Return the commands that give a user the ids which a cluster's pods run under."""
    import pwd

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    first = max([100_000, *_ends(Path("/etc/subuid")), *_ends(Path("/etc/subgid"))])
    ids = f"{first}-{first + 65535}"
    return (
        f"{name} needs 65536 subordinate ids in /etc/subuid and in /etc/subgid:",
        f"  sudo usermod --add-subuids {ids} --add-subgids {ids} {name}",
    )
