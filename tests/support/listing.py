"""What can be seen of the host: before a cluster and after it, it is the same."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path

from clusters.embedded import host
from clusters.embedded.cluster import Embedded
from clusters.kind import engine as engines


def listing() -> dict[str, list[str]]:
    """Network, firewall, mounts and namespaces of the host, and no counters that move."""
    moving = re.compile(r"\[\d+:\d+\]|(valid|preferred)_lft \S+|expires \S+")

    def run(*argv: str) -> list[str]:
        path = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        said = subprocess.run(argv, capture_output=True, text=True, env=path, check=True).stdout
        return [moving.sub("", line) for line in said.splitlines() if not line.startswith("#")]

    return {
        "links": run("ip", "-o", "link"),
        "addresses": run("ip", "-o", "address"),
        "routes": [*run("ip", "route", "show", "table", "all"), *run("ip", "rule")],
        "IPv6 routes": [
            *run("ip", "-6", "route", "show", "table", "all"),
            *run("ip", "-6", "rule"),
        ],
        "named namespaces": run("ip", "netns", "list"),
        # Who is not root may not read it, nor change it.
        "firewall": [] if os.getuid() else [*run("iptables-save"), *run("ip6tables-save")],
        "mounts": Path("/proc/self/mountinfo").read_text().splitlines(),
    }


def outside() -> dict[str, list[str]]:
    """The user's own kubeconfig, and which engine runs."""
    own = Path("~/.kube/config").expanduser()
    engine = engines.find()
    return {
        "kubeconfig": [own.read_text() if own.exists() else "none"],
        "engine": [engine.host or "the user's" if engine else "none"],
    }


def started_in(folder: str) -> list[str]:
    """Processes that were started for what lies in a folder, whatever they are called.

    folder: their TMPDIR, or above it: it is in the environment of all that was started, and in
    the command, the open files or the working folder of what was not given that.
    """
    wanted = folder.encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if entry.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            seen = [
                command,
                (entry / "environ").read_bytes(),
                os.fsencode((entry / "cwd").readlink()),
            ]
            for link in (entry / "fd").iterdir():
                with contextlib.suppress(OSError):
                    seen.append(os.fsencode(link.readlink()))
            if any(wanted in one for one in seen):
                found.append(f"{entry.name} {command.decode()}")
    return found


def process_of(cluster: Embedded, *words: str) -> int:
    """The process inside of a cluster whose command line holds these words, seen from the host."""
    first = host.first_pid(cluster.state)
    assert first, "the cluster does not run"
    found = [pid for pid in family(first) if all(word in " ".join(argv(pid)) for word in words)]
    assert found, f"no process of {cluster.name} is {' '.join(words)}"
    return found[0]


def argv(pid: int) -> list[str]:
    """A process's command line; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def family(*roots: int) -> list[int]:
    """These processes and all that descend from them, whatever pid namespace they are in."""
    found: dict[int, None] = {}
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        found[pid] = None
        for children in Path(f"/proc/{pid}/task").glob("*/children"):  # of each of its threads
            with contextlib.suppress(OSError):
                waiting += [int(one) for one in children.read_text().split()]
    return list(found)
