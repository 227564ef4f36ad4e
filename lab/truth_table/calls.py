"""Makes the calls of the table: many at once, by one resident process in each calling pod."""

from __future__ import annotations

import json
import random
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from clusters.base import Cluster, PodRef
from lab.common.errors import CommandFailed
from lab.common.wait import until
from lab.record import envoy_admin
from lab.truth_table import gauges
from lab.truth_table.asked import Asked
from lab.truth_table.axes import PAYLOADS
from lab.truth_table.cells import Cell
from lab.truth_table.gauges import Reading
from lab.truth_table.mesh import TableMesh
from lab.truth_table.places import SOURCES
from lab.truth_table.recorded import HANGS

HANGS_AFTER = 5.0
"""Seconds without an answer."""
GATEWAY_CLOSES_AFTER = 15.0
"""Seconds that a gateway's listener waits for first bytes (listener_filters_timeout's default)."""
AT_ONCE = 16
"""Calls in flight in each calling pod."""
TIMEOUT = 900.0

Job = dict[str, Any]


def jobs(table: TableMesh, cells: Iterable[Cell], used: int = 0) -> dict[PodRef, list[Job]]:
    """Return what each calling pod is to do, in a random order that is the same every time.

    used: how many source ports were used before.
    """
    each: dict[PodRef, list[Job]] = {}
    shuffled = list(cells)
    random.Random(1).shuffle(shuffled)  # so that hangs are spread over the run
    for cell in shuffled:
        asked = table.asked(cell)
        own = each.setdefault(table.pods[cell.policy, asked.caller], [])
        own.append(_job(asked, SOURCES[used + len(own)]))
    return each


def _job(asked: Asked, source: int) -> Job:
    return {
        "id": asked.cell.key,
        "sends": asked.cell.sends,
        "host": asked.address,
        "port": asked.port,
        "name": asked.host,
        "sni": asked.server_name,
        "source": source,
        "marker": f"lab-{secrets.token_hex(8)}",
        "request_id": str(uuid.uuid4()),
        "within": asked.within,
        "seconds": GATEWAY_CLOSES_AFTER + 3 if _waits_at_gateway(asked.cell) else HANGS_AFTER,
    }


def _waits_at_gateway(cell: Cell) -> bool:
    """Return whether a gateway may close a connection on which the client sends nothing."""
    return cell.gateway_server is not None and cell.server_first


@dataclass(frozen=True)
class Made:
    """What was made of a table's calls."""

    jobs: list[Job]
    """A record of each call: the job and its result; `second`: of the call as it was repeated."""
    readings: list[Reading]
    """Of each sidecar, before hung calls were repeated, and meanwhile."""


Send = Callable[[Cluster, dict[PodRef, list[Job]], int], list[Job]]
"""Makes each pod's jobs, so many at once, and returns a record of each."""


def make(table: TableMesh, send: Send) -> Made:
    """Make the calls of all cells. What hangs is repeated when no other call is under way."""
    made = send(table.cluster, jobs(table, table.cells), AT_ONCE)
    keys = {one["id"] for one in made if one["outcome"] == HANGS}
    hung = [cell for cell in table.cells if cell.key in keys]
    second = _repeat(table, send, jobs(table, hung, len(table.cells))) if hung else Made([], [])
    again = {one["id"]: one for one in second.jobs}
    return Made([{**one, "second": again.get(one["id"])} for one in made], second.readings)


def _repeat(table: TableMesh, send: Send, each: dict[PodRef, list[Job]]) -> Made:
    """Repeat hung calls, all at once; the sidecars' gauges are read before and meanwhile."""
    readings = _read_gauges(table)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(send, table.cluster, each, max(map(len, each.values())))

        def look() -> bool:
            readings.extend(_read_gauges(table))
            return made.done()

        until(look, "the hung calls that were repeated", timeout=TIMEOUT, every=1.0)
    return Made(made.result(), readings)


def _read_gauges(table: TableMesh) -> list[Reading]:
    """Return what the gauges of all sidecars say now."""

    def look(key: tuple[str, str]) -> Reading:
        began = time.time()
        told = envoy_admin.stats(table.cluster, table.pods[key], gauges.PATTERN)
        return Reading("-".join(key), began, time.time(), {k: v for k, v in told.items() if v})

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(look, table.sidecars))


def by_table_calls(cluster: Cluster, each: dict[PodRef, list[Job]], at_once: int) -> list[Job]:
    """Make calls by processes in each pod. Raises CommandFailed where one does not end well."""
    parts = [(pod, tool, part) for pod, own in each.items() for tool, part in _by_tool(own)]
    with ThreadPoolExecutor(len(parts)) as pool:
        done = pool.map(lambda one: _in_pod(cluster, one[0], one[1], one[2], at_once), parts)
        return [one for own in done for one in own]


def _by_tool(own: list[Job]) -> Iterator[tuple[str, list[Job]]]:
    """Yield each program that makes calls, with those that are its to make."""
    for tool, databases in (("table-calls", False), ("table-databases", True)):
        part = [one for one in own if bool(PAYLOADS[one["sends"]].database) is databases]
        if part:
            yield tool, part


def _in_pod(cluster: Cluster, pod: PodRef, tool: str, own: list[Job], at_once: int) -> list[Job]:
    given = "".join(json.dumps(job) + "\n" for job in own).encode()
    argv = [tool, "--at-once", str(at_once)]
    done = cluster.exec(pod, argv, stdin=given, timeout=TIMEOUT)
    if done.code:
        words = done.stderr.decode(errors="replace")[-400:]
        raise CommandFailed(f"{tool} in pod {pod.name} ended with {done.code}: {words}")
    results = {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}
    return [{**job, **results[job["id"]], "pod": pod.name} for job in own if job["id"] in results]
