"""Which processes of the lab are ended, how each is found, and which codes may follow."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clusters.embedded import host
from lab.model import store

sys.path.append(str(store.ROOT / "tests" / "support"))
from listing import argv, family, started_in
from listing import listing as host_listing

__all__ = ["COMING_UP", "LATE", "VICTIMS", "end", "find", "host_listing", "started_in"]

HARD, SOFT, CTRL_C = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
COMING_UP = ("API comes up", "objects are made", "istiod comes up")
LATE = ("judging", "removing", "going down")
"""Everything has been recorded by then."""


@dataclass(frozen=True)
class Victim:
    """A kind of process."""

    is_it: Callable[[list[str]], bool]
    """By its command line."""
    since: str
    """The first phase in which there is one."""
    signals: tuple[signal.Signals, ...] = (HARD, SOFT, CTRL_C)
    until: str = "removing"
    only: str = ""
    """Only of commands whose name begins so."""
    not_of: str = ""
    ends_all: bool = False
    forked: bool = False
    """Whether it is a copy of its parent, which has the same command line."""

    def of(self, command: str) -> bool:
        return command.startswith(self.only) and not (self.not_of and command == self.not_of)

    def there(self, phase: str, order: list[str]) -> bool:
        return order.index(self.since) <= order.index(phase) <= order.index(self.until)

    def codes(self, number: str, phase: str) -> set[int]:
        """What the command may end with."""
        if self is VICTIMS["make"]:
            return {2, 130, 143, -signal.Signals[number]}
        if self is VICTIMS["terminal"] or (self is VICTIMS["runner"] and number != "SIGKILL"):
            return {255, 2, -signal.SIGINT}  # make ends by its own Ctrl-C
        if self is VICTIMS["runner"]:
            return {-signal.SIGKILL, 2}
        # 0: it was no longer needed, minds no such signal, or was there again in time.
        # 255: there never was a cluster to run on. 2 is make's word for each of these.
        if phase in ("notebooks start", *COMING_UP):
            return {0, 2, 3, 255}
        gone = self.ends_all and number == "SIGKILL" and phase not in LATE
        return {2, 3} if gone else {0, 2, 3}


def _program(name: str) -> Callable[[list[str]], bool]:
    return lambda argv: Path(argv[0]).name == name


def _holds(*words: str) -> Callable[[list[str]], bool]:
    return lambda argv: all(word in " ".join(argv) for word in words)


def _workload(argv: list[str]) -> bool:
    own = ("bwrap", "pilot-agent", "envoy", "nsenter", "setpriv", "curl", "say", "tls-probe")
    return Path(argv[0]).name not in own


VICTIMS = {
    "terminal": Victim(bool, "notebooks start", (CTRL_C,), until="going down"),
    "runner": Victim(_holds("-m lab "), "notebooks start", until="going down"),
    "draftsman": Victim(
        _holds("-m lab "), "notebooks start", until="judging", not_of="up", forked=True
    ),
    "make": Victim(_program("make"), "notebooks start", only="make", until="going down"),
    "notebook": Victim(
        _holds("-m lab.notebook.execute"), "notebooks start", until="judging", not_of="up"
    ),
    "kernel": Victim(_holds("-m lab.notebook.kernel"), "up", until="judging", not_of="up"),
    "first process": Victim(_program("unshare"), "API comes up", ends_all=True),
    "node": Victim(_holds("clusters.embedded.node"), "API comes up", (HARD, SOFT), ends_all=True),
    "etcd": Victim(_program("etcd"), "API comes up", ends_all=True),
    "kube-apiserver": Victim(_program("kube-apiserver"), "API comes up", ends_all=True),
    "istiod": Victim(_program("pilot-discovery"), "istiod comes up", ends_all=True),
    "controllers": Victim(_program("kube-controller-manager"), "istiod comes up", ends_all=True),
    "scheduler": Victim(_program("kube-scheduler"), "istiod comes up", ends_all=True),
    "kube-proxy": Victim(_program("kube-proxy"), "istiod comes up", ends_all=True),
    "coredns": Victim(_program("coredns"), "istiod comes up", ends_all=True),
    "envoy": Victim(_program("envoy"), "deployed"),
    "pilot-agent": Victim(_holds("pilot-agent proxy sidecar"), "deployed"),
    "workload": Victim(_workload, "deployed"),
    "bwrap": Victim(_program("bwrap"), "deployed"),
    "tcpdump": Victim(_program("tcpdump"), "before", until="a trial of the mesh"),
}


def find(victim: str, command: int, temporary: Path) -> list[tuple[int, str]]:
    """(pid, what it is) of each process of this kind that was started by the harness."""
    states = temporary / f"istio-failure-lab-{os.getuid()}"
    firsts = [host.first_pid(state.parent) for state in states.glob("*/first.json")]
    if victim == "terminal":
        return [(command, "the command's process group")]
    pids = family(command, *(pid for pid in firsts if pid))
    if victim == "workload":
        pids = [pid for pid in pids if _descends_from(pid, "bwrap")]
    told = {pid: argv(pid) for pid in pids}
    wanted = VICTIMS[victim]
    return [
        (pid, " ".join(words)[:160])
        for pid, words in told.items()
        if words and wanted.is_it(words) and _is_forked(pid, words) is wanted.forked
    ]


def _is_forked(pid: int, words: list[str]) -> bool:
    return any(argv(parent) == words for parent in _parents(pid)[:1])


def _descends_from(pid: int, program: str) -> bool:
    return any((argv(one) or [""])[0].endswith(program) for one in _parents(pid))


def _parents(pid: int) -> list[int]:
    found = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
        found.append(pid)
    return found


def end(victim: str, pid: int, number: signal.Signals) -> bool:
    """Send the signal; Ctrl-C on a terminal goes to the whole process group.

    False: it had ended by itself meanwhile.
    """
    try:
        if victim == "terminal":
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
