"""The host's side of a cluster's life: its folder, its first process, its end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clusters.base import Progress
from clusters.doctor import machine
from clusters.embedded.channel import Channel
from clusters.embedded.settings import STANDS, Settings, private_path
from lab.common import locks, places, signals
from lab.common.errors import LabError, TimedOut
from lab.common.scratch import states
from lab.common.wait import until

CONTROL = "control.sock"


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Allow one `up` or `down` of a cluster at a time. The lock's file goes with the cluster."""
    path = state.parent / f"{state.name}.lock"
    with locks.tried(path) as mine:
        if not mine:
            raise LabError(f"another `up` or `down` of cluster {state.name!r} is running")
        try:
            yield
        finally:
            if not state.exists():
                path.unlink()


def first_pid(state: Path) -> int | None:
    """Return the cluster's outermost process, if it runs. A pid that was used again is not it."""
    try:
        pid, started = json.loads((state / "first.json").read_text())
    except (OSError, ValueError):
        return None
    return pid if _start_ticks(pid) == started else None


def alive(state: Path) -> bool:
    """Tell whether the cluster runs: by its first process, or by its answer if /proc hides that."""
    return first_pid(state) is not None or _answers(state)


def _start_ticks(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


@dataclass
class Launched:
    """A cluster that this process started."""

    process: subprocess.Popen[bytes]
    owner: int
    """Our end of a pipe: the cluster ends when it closes, unless it was left standing."""

    def release(self) -> None:
        """End the first process, if it has not ended yet, reap it, and close the pipe."""
        os.close(self.owner)
        _kill(self.process.pid)  # its folder may have been taken from under it
        self.process.wait()


def launch(
    state: Path, settings: Settings, api: socket.socket, progress: Progress, owned: bool
) -> Launched:
    """Start the cluster in namespaces of its own, and follow it until it is ready.

    It ends when this process does, however it ends: owned for good, else until it is ready.
    Raises LabError with the end of the log when it does not come up; nothing is left then.
    """
    launched = None
    try:
        with signals.held():  # else a Ctrl-C could come before anybody knows what was started
            launched, told = _begin(state, settings, api)
        _follow(told, state, progress)
        if not owned:
            os.write(launched.owner, STANDS)
    except BaseException:
        if launched:
            launched.release()
        raise
    return launched


def _begin(state: Path, settings: Settings, api: socket.socket) -> tuple[Launched, int]:
    """Start its first process, note which that is, and return it with what it tells us through."""
    settings.save(state / "settings.json")
    told, tell = os.pipe()
    owner_read, owner_write = os.pipe()
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with api, control, (state / "node.log").open("ab") as log:
        control.bind(str(state / CONTROL))
        control.listen(128)
        fds = [api.fileno(), control.fileno(), tell, owner_read]
        node = [sys.executable, "-m", "clusters.embedded.node", str(state / "settings.json")]
        process = subprocess.Popen(
            [*_unshare(), *node, *map(str, fds)],
            env=_clean_environment(),
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=fds,
            start_new_session=True,
        )
    for fd in (tell, owner_read):
        os.close(fd)
    (state / "first.json").write_text(json.dumps([process.pid, _start_ticks(process.pid)]))
    return Launched(process, owner_write), told


def _follow(told: int, state: Path, progress: Progress) -> None:
    """Relay progress until the cluster says it is ready."""
    with os.fdopen(told) as lines:
        for line in lines:
            event = json.loads(line)
            if "error" in event:
                raise LabError(
                    f"the embedded cluster did not come up: {event['error']}\n"
                    + _tail(state / "logs" / f"{event.get('log', '')}.log"),
                    hint=f"{places.DOCTOR} shows what this machine lacks",
                )
            progress(event["step"])
            if event.get("done"):
                return
    raise LabError(
        "the embedded cluster ended while it came up\n" + _tail(state / "node.log"),
        hint=f"{places.DOCTOR} shows what this machine lacks",
    )


def _tail(path: Path, lines: int = 15) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _unshare() -> list[str]:
    """Return unshare's arguments. Only a user who is not root needs a user namespace."""
    argv = [
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--ipc",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    return argv if os.getuid() == 0 else [*argv, "--user", "--map-root-user", "--map-auto"]


def _clean_environment() -> dict[str, str]:
    """Return an environment without the caller's proxies, kubeconfigs and credentials."""
    kept = ("HOME", "LANG", "TMPDIR", "LAB_CACHE", "XDG_CACHE_HOME")
    own = {"PATH": private_path(), "PYTHONUNBUFFERED": "1"}
    return {name: os.environ[name] for name in kept if name in os.environ} | own


def end(state: Path) -> None:
    """End the cluster's first process, and with it all others; then remove its folder.

    Raises LabError for one that runs where we cannot end it; that one is left as it is.
    """
    pid = first_pid(state)
    if pid is None:
        _no_longer_answers(state)
    else:
        # The kernel reaps the first process of a pid namespace after all others in it.
        family = [pid, *children(pid)]
        _kill(pid)
        try:
            until(
                lambda: all(_start_ticks(one) is None for one in family),
                f"processes {family} to end",
                timeout=10,
            )
        except TimedOut:
            raise LabError(f"process {pid} of cluster {state.name!r} does not end") from None
    shutil.rmtree(state, ignore_errors=True)


def _kill(first: int) -> None:
    """End a cluster's first process, and the helper by which unshare has ids mapped.

    That one waits for ever where unshare is killed before it has asked for it (util-linux 2.38).
    """
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(first, signal.SIGKILL)


def _no_longer_answers(state: Path) -> None:
    try:
        until(lambda: not _answers(state), "its last processes to end", timeout=2)
    except TimedOut:
        raise LabError(
            f"cluster {state.name!r} answers, but its first process is not visible from this pid "
            "namespace: stop it from the pid namespace that it was started in"
        ) from None


def sweep() -> None:
    """Remove what clusters left that ended by themselves, or with the process that owned them."""
    for lock in states().glob("*.lock"):
        state = lock.with_suffix("")
        with contextlib.suppress(LabError), locked(state):  # else somebody is at it now
            if not alive(state):
                shutil.rmtree(state, ignore_errors=True)


def _answers(state: Path) -> bool:
    """Tell whether a cluster serves this folder: /proc may not show its processes here."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        return link.connect_ex(str(state / CONTROL)) == 0


def hidden_instances() -> int:
    """Return how many inotify instances the sidecars of this user's clusters hold.

    Root sees them in /proc; an ordinary user does not, and each cluster tells its own.
    """
    if machine.is_root():
        return 0
    try:
        return sum(_instances(lock.with_suffix("")) for lock in states().glob("*.lock"))
    except LabError:
        return 0  # there can be no cluster of this user's: what is wrong is told when one starts


def _instances(state: Path) -> int:
    try:
        return int(Channel(state / CONTROL).ask({"op": "status"}).get("inotify", 0))
    except LabError:
        return 0  # it is not up


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children; none when it has ended."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
