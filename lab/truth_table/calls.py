"""Makes the calls of the table: many at once, by one resident process in each calling pod."""

from __future__ import annotations

import json
import random
import secrets
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clusters.base import Cluster, PodRef
from lab.common.errors import CommandFailed
from lab.truth_table.asked import Asked
from lab.truth_table.cells import Cell
from lab.truth_table.mesh import TableMesh
from lab.truth_table.places import SOURCES

HANGS_AFTER = 5.0
"""Seconds without an answer."""
GATEWAY_CLOSES_AFTER = 15.0
"""Seconds that a gateway's listener waits for first bytes (listener_filters_timeout's default)."""
AT_ONCE = 16
"""Calls in flight in each calling pod."""
HANGS = "hangs"
"""How table-calls tells that no answer came in time."""
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


def make(table: TableMesh, cells: Sequence[Cell]) -> list[Job]:
    """Make the calls of some cells; return a record of each: the job and its result.

    What hangs is called a second time, when no other call is under way: `again` is how that ended.
    """
    made = _make(table.cluster, jobs(table, cells), AT_ONCE)
    keys = {one["id"] for one in made if one["outcome"] == HANGS}
    hung = [cell for cell in cells if cell.key in keys]
    second = _make(table.cluster, jobs(table, hung, used=len(cells)), len(hung)) if hung else []
    again = {one["id"]: one["outcome"] for one in second}
    return [{**one, "again": again.get(one["id"], "")} for one in made]


def _make(cluster: Cluster, each: dict[PodRef, list[Job]], at_once: int) -> list[Job]:
    with ThreadPoolExecutor(len(each)) as pool:
        done = pool.map(lambda pod: _in_pod(cluster, pod, each[pod], at_once), each)
        return [one for own in done for one in own]


def _in_pod(cluster: Cluster, pod: PodRef, own: list[Job], at_once: int) -> list[Job]:
    given = "".join(json.dumps(job) + "\n" for job in own).encode()
    argv = ["table-calls", "--at-once", str(at_once)]
    done = cluster.exec(pod, argv, stdin=given, timeout=TIMEOUT)
    if done.code:
        words = done.stderr.decode(errors="replace")[-400:]
        raise CommandFailed(f"table-calls in pod {pod.name} ended with {done.code}: {words}")
    results = {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}
    return [{**job, **results[job["id"]], "pod": pod.name} for job in own if job["id"] in results]
