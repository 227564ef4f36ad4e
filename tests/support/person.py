"""A user who is made for a test, in a mount namespace of his own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from clusters.stacks import cache
from lab.model import store

UID = 100_000 + os.getpid()  # nobody else's, and another one's in tests that run beside
SUBORDINATE = 1_000_000_000 + 65536 * (os.getpid() % 30000)
NAMES = {
    "passwd": f"labtester:x:{UID}:{UID}::/tmp:/bin/sh",
    "group": f"labtester:x:{UID}:",
    "subuid": f"labtester:{SUBORDINATE}:65536",
    "subgid": f"labtester:{SUBORDINATE}:65536",
}


class Person:
    """Somebody who is not root: with a copy of the lab, a home, and the binaries to read."""

    def __init__(self, top: Path) -> None:
        self.top, self.tmp = top, top / "tmp"
        self._copy = top / "lab"
        spared = shutil.ignore_patterns(".git", ".venv", "runs", "tests", "__pycache__", ".*_cache")
        shutil.copytree(store.ROOT, self._copy, ignore=spared)
        subprocess.run(["chmod", "-R", "a+rX", str(self._copy)], check=True)
        self.uid = os.getuid() or UID
        for name in ("tmp", "home", "runs"):
            (top / name).mkdir()
            os.chown(top / name, self.uid, os.getgid() or UID)

    def lab(
        self, *words: str, before: Sequence[str] = (), around: Sequence[str] = (), **own: str
    ) -> tuple[int, str]:
        """`istio-lab ...` as this person: its code, and all that it said.

        before: shell lines of root's, in the namespace of his mounts. around: what he starts
        it with, in the place of starting it himself. own: his environment beside the usual.
        """
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.top / "home"),
            "TMPDIR": str(self.tmp),
            "LAB_RUNS": str(self.top / "runs"),
            "LAB_CACHE": str(cache.root()),
            "PYTHONPATH": str(self._copy),
            "PYTHONDONTWRITEBYTECODE": "1",
            **own,
        }
        argv = [*around, sys.executable, "-m", "lab", *words]
        done = subprocess.run(
            argv if os.getuid() else self._as_user(argv, before),
            cwd=self._copy,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
        )
        return done.returncode, done.stdout + done.stderr

    def _as_user(self, argv: list[str], before: Sequence[str]) -> list[str]:
        lines = ["set -e", "umask 022", *self._names()]
        lines += _reachable([Path(sys.prefix), Path(sys.base_prefix), cache.root(), self.top])
        lines += before
        ids = [f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        lines += [f"cd {shlex.quote(str(self._copy))}"]
        lines += [shlex.join(["exec", "setpriv", *ids, "--", *argv])]
        return ["unshare", "--mount", "sh", "-c", "\n".join(lines)]

    def _names(self) -> Iterator[str]:
        """The user's name and subordinate ids, for this namespace alone."""
        for name, line in NAMES.items():
            own = self.top / name
            own.write_text(Path("/etc", name).read_text().rstrip("\n") + f"\n{line}\n")
            own.chmod(0o644)
            yield shlex.join(["mount", "--bind", str(own), f"/etc/{name}"])

    def processes(self) -> list[str]:
        """What runs under his own or one of his subordinate ids."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                owner, command = entry.stat().st_uid, (entry / "cmdline").read_bytes()
                his = owner == UID or 0 <= owner - SUBORDINATE < 65536
                if his and command:  # else it has ended, and waits to be reaped
                    found.append(f"{entry.name} {command!r}")
            except OSError:
                continue
        return found


def _reachable(folders: list[Path]) -> list[str]:
    """Shell lines that let others reach these folders where one above is closed to them."""
    closed = {
        above
        for folder in folders
        for above in [next((p for p in reversed(folder.parents) if not p.stat().st_mode & 1), None)]
        if above
    }
    hidden = [folder for folder in folders if closed & set(folder.parents)]
    lines = ["mount -t tmpfs -o mode=755 tmpfs /mnt"]
    for number, folder in enumerate(hidden):
        lines += [f"mkdir /mnt/{number}", f"mount --bind {shlex.quote(str(folder))} /mnt/{number}"]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(above))}" for above in closed]
    for number, folder in enumerate(hidden):
        place = shlex.quote(str(folder))
        lines += [f"mkdir -p {place}", f"mount --bind /mnt/{number} {place}"]
    return lines
