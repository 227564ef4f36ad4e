"""Asks istioctl what it says of a world, so that it can be read beside the packets.

Nothing rests on it: a verdict is made of packets, proxies and calls.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from clusters.stacks import assembly, binaries
from lab.model.evidence import ToolRecord
from lab.record import kube_proxy
from lab.record.world import LiveWorld

if TYPE_CHECKING:
    from clusters.base import OwnCluster, Progress

PROGRAM, KUBECONFIG = "LAB_ISTIOCTL", "LAB_ISTIOCTL_KUBECONFIG"
"""Variables that notebooks find in a run that was told to ask: the program, and its KUBECONFIG."""
SECONDS = 60.0
LINES = 40
"""At most so many lines of an answer are kept."""


def obtain(cluster: OwnCluster, tell: Progress) -> Path:
    """Return an istioctl that fits the cluster, built now if it never was.

    It may lie beside the kubectl of a cluster that is up or, of an existing cluster, on PATH.
    """
    own = shutil.which("istioctl", path=str(cluster.bin)) if cluster.running() else None
    theirs = shutil.which("istioctl") if cluster.kind == "existing" else None
    if found := own or theirs:
        return Path(found)
    return binaries.build(assembly.wanted().tools, tell) / "bin" / "istioctl"


def variables(cluster: OwnCluster, tell: Progress) -> dict[str, str]:
    """Return what notebooks need in their environment, so that they ask."""
    return {PROGRAM: str(obtain(cluster, tell)), KUBECONFIG: str(cluster.kubeconfig)}


def ask(live: LiveWorld, workloads: Iterable[str]) -> tuple[ToolRecord, ...]:
    """Return what it says of a world, and of workloads' pods that have a sidecar; or nothing.

    It is asked only where the environment names it.
    """
    if PROGRAM not in os.environ:
        return ()
    pods = [live.pods[name].name for name in workloads if live.pods[name].has_sidecar]
    asked = [
        ["analyze", "--namespace", live.namespace],
        *(["x", "describe", "pod", pod, "--namespace", live.namespace] for pod in pods),
    ]
    with ThreadPoolExecutor(2) as pool:
        return tuple(pool.map(_said, asked))


def _said(words: list[str]) -> ToolRecord:
    typed = " ".join(["istioctl", *words])
    argv = [os.environ[PROGRAM], *words]
    env = {**os.environ, "KUBECONFIG": os.environ[KUBECONFIG]}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=SECONDS, env=env, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        return ToolRecord(typed, (f"no answer: {failed}",))
    lines = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
    return ToolRecord(typed, tuple(line for line in lines if _is_of_the_world(line))[:LINES])


def _is_of_the_world(line: str) -> bool:
    """Return whether a line speaks of the failure's world, and not of the lab's own Service."""
    return bool(line) and not ("[IST" in line and kube_proxy.NAME in line)
