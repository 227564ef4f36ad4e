"""The ordinary tools of a lesson: kubectl and istioctl, which use its cluster and namespace."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from clusters.base import OwnCluster, Progress
from lab.record import istioctl

SECONDS = 120.0
"""After which a script of a repair is given up."""


@dataclass(frozen=True)
class Done:
    """A script that has run."""

    code: int
    said: str


class Tools:
    """The environment of a lesson's commands."""

    def __init__(self, cluster: OwnCluster, namespace: str, tell: Progress) -> None:
        """Prepare it. Builds istioctl, where it was never built."""
        self._folder = tempfile.TemporaryDirectory(prefix="lesson-")
        own = Path(self._folder.name) / "kubeconfig"
        own.write_text(yaml.safe_dump(_context(cluster, namespace)))
        places = [str(cluster.bin), str(istioctl.obtain(cluster, tell).parent)]
        path = os.environ.get("PATH", "")
        kept = [one for one in path.split(os.pathsep) if one not in places]
        self.variables: Mapping[str, str] = {
            # kubectl takes what it needs of both, the context from the first.
            "KUBECONFIG": os.pathsep.join([str(own), str(cluster.kubeconfig)]),
            "PATH": os.pathsep.join([*places, *kept]),
        }

    def run(self, script: str) -> Done:
        """Run commands in a shell, to their end or to the first that fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env={**os.environ, **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout.strip())

    def close(self) -> None:
        """Remove its files."""
        self._folder.cleanup()


def _context(cluster: OwnCluster, namespace: str) -> dict[str, object]:
    """Return a kubeconfig that has a context of its own, for the cluster's user and a namespace."""
    theirs = yaml.safe_load(cluster.kubeconfig.read_text())
    current = theirs["current-context"]
    there = next(one["context"] for one in theirs["contexts"] if one["name"] == current)
    own = {"name": "lesson", "context": {**there, "namespace": namespace}}
    head = {"apiVersion": "v1", "kind": "Config"}
    return {**head, "contexts": [own], "current-context": "lesson"}
