"""The Docker engine that kind uses: one that runs already, else one of the lab's own.

An engine of somebody else's is only asked; it is never configured, started or ended. Ours is
started where there is none, as root, on a socket and in folders of its own, and changes nothing
of the host's network: no firewall rules, no bridge of its own, no forwarding.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from clusters.base import Progress
from clusters.stacks import cache
from lab.common import locks
from lab.common.errors import CommandFailed, LabError, NeedsUnmet
from lab.common.wait import until

RUN = Path("/run/istio-failure-lab")
"""Sockets and pids of our own engine: gone with a reboot, as it is."""
RUNTIME = Path(__file__).with_name("runtime.py")
SYS_RESOURCE = 24
"""CAP_SYS_RESOURCE, linux/capability.h."""


_PID_FILES = {"dockerd": "dockerd.pid", "containerd": "exec/containerd/containerd.pid"}
_STARTED: list[subprocess.Popen[bytes]] = []
"""What this process started: a Popen that is dropped while its process runs is an error."""


@dataclass(frozen=True)
class Engine:
    """A running engine, and how it is reached."""

    host: str
    """DOCKER_HOST; empty for the one that `docker` finds by itself."""
    own: bool

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of docker and kind."""
        own = {"DOCKER_HOST": self.host} if self.host else {}
        return {**os.environ, **own}

    def docker(self, *words: str, stdin: IO[bytes] | None = None) -> str:
        """Run docker, return its output. Raises CommandFailed with what it said."""
        done = self.run(*words, stdin=stdin)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise CommandFailed(f"`docker {' '.join(words)}` ended with {done.returncode}: {said}")
        return done.stdout.decode()

    def succeeds(self, *words: str) -> bool:
        """Tell whether a docker command ends with 0."""
        return self.run(*words).returncode == 0

    def run(
        self, *words: str, stdin: IO[bytes] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run docker to its end."""
        return subprocess.run(
            ["docker", *words],
            env=self.environment,
            stdin=stdin or subprocess.DEVNULL,
            capture_output=True,
        )

    def has(self, image: str) -> bool:
        """Tell whether its store has this image."""
        return self.succeeds("image", "inspect", image)

    def load(self, archive: Path) -> None:
        """Put an archive's images into its store."""
        with archive.open("rb") as file:
            self.docker("load", stdin=file)

    def info(self) -> dict[str, object]:
        """Return what `docker info` reports."""
        told: dict[str, object] = json.loads(self.docker("info", "--format", "{{json .}}"))
        return told


def find() -> Engine | None:
    """Return the engine that runs: the user's own, else the lab's."""
    if shutil.which("docker") is None:
        return None
    for engine in (Engine("", own=False), Engine(f"unix://{RUN}/docker.sock", own=True)):
        if engine.succeeds("version"):
            return engine
    return None


def obtain(progress: Progress) -> Engine:
    """Return an engine, started now where none runs. Raises NeedsUnmet where that cannot be."""
    with _lock("lock"):
        found = find()
        if found:
            return found
        if os.getuid() or shutil.which("dockerd") is None:
            raise NeedsUnmet(
                "kind needs a Docker engine, and none answers",
                hint="start yours; or, as root on Debian: apt-get install docker.io mmdebstrap",
            )
        progress("starting the lab's own Docker engine")
        return _start()


def lease() -> contextlib.AbstractContextManager[None]:
    """Keep the lab's own engine from being stopped, with or without containers."""
    return _lock("lease", fcntl.LOCK_SH)


@contextlib.contextmanager
def unused() -> Iterator[bool]:
    """Yield whether nobody has a lease; until it is left nobody gets one or starts an engine."""
    if os.getuid():
        yield True
        return
    with _lock("lock"), locks.tried(RUN / "lease") as free:
        yield free


def _lock(name: str, kind: int = fcntl.LOCK_EX) -> contextlib.AbstractContextManager[None]:
    """Yield while no other process may start an engine."""
    return contextlib.nullcontext() if os.getuid() else locks.held(RUN / name, kind)


def _start() -> Engine:
    data = cache.root() / "engine"
    data.mkdir(parents=True, exist_ok=True)
    _forget_killed_engine()
    argv = ["dockerd", f"--host=unix://{RUN}/docker.sock", f"--pidfile={RUN}/dockerd.pid"]
    argv += [f"--data-root={data}", f"--exec-root={RUN}/exec", f"--config-file={_no_settings()}"]
    argv += ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
    argv += ["--bridge=none", *_runtime()]
    with (RUN / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    _STARTED.append(process)
    engine = Engine(f"unix://{RUN}/docker.sock", own=True)
    try:
        until(
            lambda: engine.succeeds("version") or process.poll() is not None,
            "the Docker engine",
            timeout=60,
        )
    except BaseException:
        process.kill()
        raise
    if process.poll() is not None:
        said = (RUN / "dockerd.log").read_text(errors="replace").splitlines()[-5:]
        raise LabError("the Docker engine did not start:\n" + "\n".join(said))
    engine.run("volume", "prune", "--force")  # an engine that was killed kept its nodes' disks
    return engine


def _no_settings() -> Path:
    """Return an empty settings file: /etc/docker/daemon.json is not meant for the lab's engine."""
    path = RUN / "daemon.json"
    path.write_text("{}")
    return path


def _runtime() -> list[str]:
    """Return arguments for a host whose root lacks a capability of privileged containers.

    The engine may outlive this checkout and its virtual environment: it has a copy of its own.
    """
    if not lacks_sys_resource():
        return []
    wrapper, program = RUN / "runtime", RUN / RUNTIME.name
    shutil.copyfile(RUNTIME, program)
    python = Path(sys.executable).resolve()
    wrapper.write_text(f'#!/bin/sh\nexec {python} -IS {program} "$@"\n')
    wrapper.chmod(0o700)
    return [f"--add-runtime=lab={wrapper}", "--default-runtime=lab"]


def lacks_sys_resource() -> bool:
    """Tell whether nobody here can have CAP_SYS_RESOURCE: it is not in the bounding set."""
    status = Path("/proc/self/status").read_text()
    bound = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd"))
    return not int(bound, 16) >> SYS_RESOURCE & 1


def stop() -> None:
    """End the lab's own engine, where one runs, nobody has a lease and no container is in it."""
    if os.getuid() or not RUN.exists():
        return
    with unused() as free:
        if not free:
            return
        engine = Engine(f"unix://{RUN}/docker.sock", own=True)
        if engine.succeeds("version") and engine.docker("ps", "--all", "--quiet").strip():
            return
        pid = _pid("dockerd")
        if pid:
            os.kill(pid, signal.SIGTERM)
            until(lambda: _ended(pid), "the Docker engine to end", timeout=30)
        shutil.rmtree(RUN, ignore_errors=True)


def _forget_killed_engine() -> None:
    """Remove the pid files of programs that were killed.

    Both programs take whatever process has such a pid by now for themselves, and do not start.
    """
    for program, file in _PID_FILES.items():
        if not _pid(program):
            (RUN / file).unlink(missing_ok=True)


def _pid(program: str) -> int:
    """Return the pid of a program of the lab's engine; 0 where none runs or it was used again."""
    try:
        pid = int((RUN / _PID_FILES[program]).read_text())
        command, *words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (OSError, ValueError):
        return 0
    ours = Path(command).name == program and any(str(RUN) in word for word in words)
    return pid if ours else 0


def _ended(pid: int) -> bool:
    """Tell whether it has ended; reap it where this process started it."""
    for process in _STARTED:
        process.poll()
    return not Path(f"/proc/{pid}").exists()
