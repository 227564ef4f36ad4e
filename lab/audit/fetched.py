"""Config dumps of the proxies of a cluster that runs: several are asked at a time, each once.

What they say lies in a folder until this process ends: of a large mesh it does not fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.json import encode

from clusters.base import Cluster, PodRef
from lab.audit.resources import Resources
from lab.audit.stored_dumps import StoredDumps
from lab.common import scratch
from lab.common.errors import CommandFailed, LabError
from lab.record import envoy_admin

AT_ONCE = 8
"""Proxies that are asked at the same time: each answer takes memory here, and work there."""


class Fetched:
    """What proxies answered, and why others did not."""

    def __init__(self, cluster: Cluster, pods: Sequence[PodRef]) -> None:
        """Ask the proxies of these pods."""
        self._folder = scratch.until_exit()
        readers, resources = dict[str, Callable[[], Any]](), Resources()
        self.silent: dict[str, str] = {}
        """Pod -> why its proxy's configuration is not known."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked = {pod: pool.submit(self._ask, cluster, pod) for pod in pods}
        for pod, answer in asked.items():
            try:
                readers[_name(pod)] = partial(_read, answer.result(), resources)
            except LabError as problem:
                self.silent[_name(pod)] = str(problem)
        self.dumps = StoredDumps(readers)

    def of(self, pod: PodRef) -> Any:
        """Return a pod's dump. Raises CommandFailed where its proxy did not answer."""
        if _name(pod) not in self.dumps:
            late = f"pod {_name(pod)} came after the proxies had been asked"
            raise CommandFailed(self.silent.get(_name(pod), late))
        return self.dumps[_name(pod)]

    def _ask(self, cluster: Cluster, pod: PodRef) -> Path:
        answer = self._folder / f"{pod.namespace}.{pod.name}.json"
        answer.write_bytes(encode(envoy_admin.config_dump(cluster, pod)))
        return answer


def _read(answer: Path, resources: Resources) -> Any:
    return resources.read(answer.read_bytes())


def _name(pod: PodRef) -> str:
    return f"{pod.namespace}/{pod.name}"
