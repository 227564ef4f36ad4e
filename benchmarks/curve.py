"""How many sidecars one embedded cluster holds: seconds until they are ready, memory, CPU at rest.

    .venv/bin/python benchmarks/curve.py [10 30 60 90]      writes curve.json

Each number is measured on a cluster of its own. What does not fit by the kernel's limit of inotify
instances is told as such (clusters/doctor/sidecars.py).
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import measure
import timeline

from clusters import mesh
from clusters.doctor import sidecars
from clusters.embedded import host
from clusters.embedded.cluster import Embedded
from lab.common import files
from lab.common.errors import LabError
from lab.model.scenario import World
from lab.record.readiness import wait_ready
from lab.record.world import deploy

HERE = Path(__file__).parent
NUMBERS = (10, 30, 60, 90)
REST = 10.0
"""Seconds for which the cluster is watched when all is ready."""


def weigh(cluster: Embedded) -> int | None:
    """Return the megabytes (PSS) of all processes of a cluster; None: only root may read them."""
    if os.getuid():
        return None
    first = host.first_pid(cluster.state)
    assert first
    namespace = Path(f"/proc/{host.children(first)[0]}/ns/pid").readlink()
    entries = [one for one in Path("/proc").glob("[0-9]*") if measure._namespace_of(one, namespace)]
    return sum(measure._pss(one) for one in entries) // 10**6


def at_rest() -> float:
    """Return how many cores are busy."""
    before, began = timeline._busy(), time.monotonic()
    time.sleep(REST)
    return round((timeline._busy() - before) / (time.monotonic() - began), 2)


def measured(number: int) -> dict[str, Any]:
    """Return what so many sidecars take, two to a namespace."""
    cluster = Embedded(f"curve-{os.getpid()}")
    cluster.up(lambda _step: None, owned=True)
    try:
        told: dict[str, Any] = {"sidecars": number, "room": cluster.room()}
        settings = mesh.read(cluster.kube)
        world = World("posted", "during", "", *measure.HTTPBIN, "STRICT", "ISTIO_MUTUAL")
        began = time.monotonic()

        def start(count: int) -> None:
            wait_ready(cluster, deploy(cluster, world, f"curve{count:04d}", "curve", settings))

        with ThreadPoolExecutor(number // 2) as pool:
            list(pool.map(start, range(number // 2)))
        told["seconds"] = round(time.monotonic() - began, 1)
        return {**told, "megabytes": weigh(cluster), "cores_at_rest": at_rest()}
    except LabError as problem:
        return {**told, "seconds": round(time.monotonic() - began, 1), "problem": str(problem)}
    finally:
        cluster.down()


def main(numbers: list[str]) -> int:
    """Measure each number of sidecars, and write what was seen."""
    rows = []
    for number in map(int, numbers or NUMBERS):
        rows.append(measured(number))
        print(json.dumps(rows[-1]), flush=True)
    limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    told = f"{measure.machine()}, {time.strftime('%Y-%m-%d')}"
    found = {"on": told, "instances": limit, "of_each": sidecars.INSTANCES, "rows": rows}
    files.write_json(HERE / "curve.json", found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
