"""How long a kind cluster takes to be of use, with its images built."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

from clusters import mesh
from clusters.kind.cluster import Kind
from lab import failures
from lab.model.parameters import parameters_of, with_parameters
from lab.model.scenario import World
from lab.record.readiness import wait_ready
from lab.record.world import deploy


def ready(nodes: int) -> dict[str, object]:
    """Seconds from nothing to Istio, and to every pod of every failure's worlds, all at once."""
    cluster = Kind(f"bench-{os.getpid()}", nodes=nodes)
    began = time.monotonic()
    try:
        cluster.up(lambda _step: None)
        istio = time.monotonic() - began
        settings = mesh.read(cluster.kube)
        known = [failures.load(name) for name in failures.names()]
        filled = [with_parameters(failure, parameters_of(failure, {})) for failure in known]
        worlds = [(world, failure.name) for failure in filled for world in failure.worlds]

        def start(one: tuple[World, str]) -> None:
            made = deploy(cluster, one[0], "bench", one[1], settings)
            wait_ready(cluster, made, timeout=300)

        with ThreadPoolExecutor(len(worlds)) as pool:
            list(pool.map(start, worlds))
        return {"seconds": [round(time.monotonic() - began, 1)], "istio_after": round(istio, 1)}
    finally:
        cluster.down()
