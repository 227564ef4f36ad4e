"""What takes nothing but the Kubernetes API: the part that every real cluster shares."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from clusters.base import Completed, PodRef
from clusters.kube import Kube
from clusters.remote import Remote
from lab.common.errors import CommandFailed


class ApiCluster:
    """Requests, commands and logs by a kubeconfig."""

    context: str | None = None
    """Of the kubeconfig; None: its current one, which only a kubeconfig of the lab's own has."""

    @property
    def kubeconfig(self) -> Path:
        """Return where credentials and addresses are read."""
        raise NotImplementedError

    @property
    def bin(self) -> Path:
        """Return where a kubectl lies."""
        raise NotImplementedError

    def require(self) -> None:
        """Raise ClusterGone, in this kind's own words, where there is no such cluster."""

    @cached_property
    def kube(self) -> Kube:
        """Return the Kubernetes API of this cluster."""
        self.require()
        return Kube.from_kubeconfig(self.kubeconfig, self.context)

    @cached_property
    def remote(self) -> Remote:
        """Return the API's way into containers."""
        return Remote(self.kubeconfig, self.context)

    def exec(
        self,
        pod: PodRef,
        argv: Sequence[str],
        *,
        container: str | None = None,
        stdin: bytes = b"",
        timeout: float = 30.0,
    ) -> Completed:
        """Run a command in a container; see `clusters.base.Cluster`."""
        return self.remote.run(pod, container or pod.containers[0], argv, stdin, timeout)

    def proxy_admin(self, pod: PodRef, path: str) -> bytes:
        """Ask the admin interface of a pod's Envoy, as `pilot-agent request` does."""
        argv = ["pilot-agent", "request", "GET", path]
        done = self.exec(pod, argv, container="istio-proxy", timeout=15)
        if done.code:
            said = done.stderr.decode(errors="replace")[-300:]
            told = f"`{' '.join(argv)}` in pod {pod.name} ended with {done.code}: {said}"
            raise CommandFailed(told)
        return done.stdout

    def exec_here(self, pod: PodRef, argv: Sequence[str], container: str | None = None) -> int:
        """Run a command with this process's own terminal; return its code."""
        words = [str(self.bin / "kubectl"), "exec", "-i", pod.name, f"--namespace={pod.namespace}"]
        words += ["-t"] if sys.stdin.isatty() else []
        words += [f"--context={self.context}"] if self.context else []
        words += [f"--container={container}"] if container else []
        own = {"KUBECONFIG": str(self.kubeconfig)}
        return subprocess.call([*words, "--", *argv], env={**os.environ, **own})

    def logs(self, pod: PodRef, container: str) -> str:
        """Return everything a container has printed so far."""
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log"
        return self.kube.text(path, {"container": container})
