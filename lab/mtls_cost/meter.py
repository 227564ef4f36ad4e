"""CPU time of a container's programs, and bytes at a pod's interface, as the kernel counts them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from clusters.base import Cluster, PodRef
from lab.common.errors import CommandFailed

# schedstat counts nanoseconds, where `stat` counts ticks of 10 ms. Threads that have ended are not
# in it; none of these programs ends threads.
# https://docs.kernel.org/scheduler/sched-stats.html
SCRIPT = (
    "grep -s . /proc/[0-9]*/comm /proc/[0-9]*/task/[0-9]*/schedstat; grep eth0: /proc/self/net/dev"
)
_COMM = re.compile(r"^/proc/(\d+)/comm:(.*)$", re.MULTILINE)
_RAN = re.compile(r"^/proc/(\d+)/task/\d+/schedstat:(\d+)", re.MULTILINE)
_INTERFACE = re.compile(r"eth0:\s*(\d+)(?:\s+\d+){7}\s+(\d+)")


class Metered(NamedTuple):
    """A container, and the program in it whose CPU time is counted."""

    pod: PodRef
    container: str
    program: str


@dataclass(frozen=True)
class Reading:
    """What the kernel had counted at one moment."""

    at: float
    """Unix seconds."""
    cpu: float
    """Seconds that the program's threads have run."""
    received: int
    """Bytes of frames at the pod's eth0."""
    sent: int


def read(cluster: Cluster, parts: Mapping[str, Metered]) -> dict[str, Reading]:
    """Read all parts at once. Raises CommandFailed where one cannot be read."""

    def one(part: Metered) -> Reading:
        done = cluster.exec(part.pod, ["sh", "-c", SCRIPT], container=part.container)
        return parse(done.stdout.decode(), part.program, (done.started + done.ended) / 2)

    with ThreadPoolExecutor(len(parts)) as pool:
        return dict(zip(parts, pool.map(one, parts.values()), strict=True))


def parse(text: str, program: str, at: float) -> Reading:
    """Return what one look says of a program. Raises CommandFailed where it is not there."""
    pids = {pid for pid, name in _COMM.findall(text) if name == program}
    ran = [int(nanoseconds) for pid, nanoseconds in _RAN.findall(text) if pid in pids]
    interface = _INTERFACE.search(text)
    if not ran or interface is None:
        raise CommandFailed(f"no CPU time of {program}, or no eth0, in: {text[:200]!r}")
    return Reading(at, sum(ran) / 1e9, int(interface[1]), int(interface[2]))


def used(
    before: Mapping[str, Reading], after: Mapping[str, Reading], idle: Mapping[str, float]
) -> dict[str, float]:
    """Return the CPU seconds of each part between two readings. idle: part -> cores when idle."""
    return {
        part: later.cpu - before[part].cpu - idle.get(part, 0.0) * (later.at - before[part].at)
        for part, later in after.items()
    }


def idle(
    read_all: Callable[[], dict[str, Reading]], wait: Callable[[], object]
) -> dict[str, float]:
    """Return the cores that each part uses while nothing is sent."""
    before = read_all()
    wait()
    after = read_all()
    return {
        part: (one.cpu - before[part].cpu) / (one.at - before[part].at)
        for part, one in after.items()
    }
