"""Measures the table on a cluster: deploys, foretells, calls, and keeps all that it recorded."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from clusters.base import Capture, CaptureStats, Cluster
from lab.common import files
from lab.common.errors import LabError
from lab.envoy import kept
from lab.record import envoy_admin, logs, mesh_lock, world
from lab.truth_table import calls, databases, gauges, objects, predictions, shards, stored_mesh
from lab.truth_table.asked import as_json
from lab.truth_table.axes import PAYLOADS
from lab.truth_table.calls import Send, by_table_calls
from lab.truth_table.cells import Cell
from lab.truth_table.mesh import TableMesh
from lab.truth_table.places import of_policy
from lab.truth_table.predictions import Foretold
from lab.truth_table.recorded import CALLS, GAUGES, NAME, PREDICTIONS, SHARDS, TABLE, Pod
from lab.truth_table.shards import Shard

KEPT = 8192
"""Bytes of each packet: more than any of the table's has."""

Tell = Callable[[str], None]


def measure(cluster: Cluster, cells: Sequence[Cell], run: Path, tell: Tell) -> Path:
    """Measure cells in as many shards as the cluster needs; see `measure_shards`."""
    count = shards.default(cluster, cells)
    return measure_shards(cluster, shards.divided(cells, count), run, tell)


def measure_shards(
    cluster: Cluster,
    each: Sequence[Shard],
    run: Path,
    tell: Tell,
    *,
    at_once: int = 1,
    send: Send = by_table_calls,
) -> Path:
    """Measure cells on a running cluster; return the folder of what was recorded.

    at_once: how many shards are measured side by side. send: how calls are made. Raises LabError
    where the mesh does not come up or the cluster does not answer; what was recorded until then is
    in the run's folder.
    """
    databases.ensure([cell for shard in each for cell in shard], tell)
    folder = run / NAME
    with mesh_lock.marked(cluster.lock, _label(folder), lambda dead: world.remove(cluster, dead)):
        try:
            _measure_each(cluster, each, run, _Does(tell, send), at_once)
        finally:
            world.remove(cluster, _label(folder))
    return folder


def measure_beside(cluster: Cluster, cells: Sequence[Cell], folder: Path, tell: Tell) -> None:
    """Measure cells beside whatever else a run does. Its namespaces are left to the run.

    folder: in the run's; its name labels the namespaces. Raises as `measure` does.
    """
    databases.ensure(cells, tell)
    lock = mesh_lock.MeshLock(cluster.lock)
    lock.share()
    try:
        table = TableMesh(cluster, _label(folder), cells, folder.name)
        _measure(table, folder, _Does(tell, by_table_calls))
    finally:
        lock.release()


def _label(folder: Path) -> str:
    """Return the run's name as the label of its namespaces has it."""
    return folder.parent.name.lower()


@dataclasses.dataclass(frozen=True)
class _Does:
    """What is done the same way for each shard."""

    tell: Tell
    send: Send

    def named(self, name: str) -> _Does:
        return _Does(lambda line: self.tell(f"{name}: {line}"), self.send)


def _measure_each(
    cluster: Cluster, each: Sequence[Shard], run: Path, does: _Does, at_once: int
) -> None:
    if len(each) == 1:
        _measure(TableMesh(cluster, run.name.lower(), each[0]), run / NAME, does)
        return

    def one(number: int) -> None:
        name = str(number + 1)
        table = TableMesh(cluster, run.name.lower(), each[number], shard=name)
        folder = run / NAME / SHARDS / name
        _measure(table, folder, does.named(f"shard {name} of {len(each)}"))
        table.remove()

    if at_once == 1:
        for number in range(len(each)):
            one(number)
        return
    with ThreadPoolExecutor(at_once) as pool:
        going = [pool.submit(one, number) for number in range(len(each))]
        try:
            for done in as_completed(going):
                done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _measure(table: TableMesh, folder: Path, does: _Does) -> None:
    tell = does.tell
    tell(f"deploying the pods for {len(table.cells)} cells: {', '.join(table.policies)}")
    table.deploy()
    table.wait_ready()
    tell(f"{len(table.pods)} pods are ready")
    table.wait_held()
    tell("all sidecars hold their configuration")
    _keep_dumps(table, folder)
    foretold = _foretell(table, folder)
    files.write_json(folder / PREDICTIONS, predictions.as_json(foretold))
    made = _call(table, folder, does.send)
    files.write_text(folder / CALLS, "".join(json.dumps(one) + "\n" for one in made.jobs))
    files.write_json(folder / GAUGES, gauges.as_json(made.readings))
    tell(f"{len(made.jobs)} calls made")
    _keep_about(table, folder)


def _foretell(table: TableMesh, folder: Path) -> dict[str, list[Foretold]]:
    asked = [table.asked(cell) for cell in table.cells]
    mesh = stored_mesh.mesh(folder, _pods(table), asked)
    called = [(one, table.pods[one.cell.policy, one.caller].ip) for one in asked]
    return predictions.foretell(mesh, called)


def _call(table: TableMesh, folder: Path, send: Send) -> calls.Made:
    """Make the calls, and keep packets and logs."""
    captures = _Captures(table, folder)
    captures.start()
    try:
        made = calls.make(table, send)
        _keep_logs(table, made, folder / "logs")
    finally:
        captures.stop()
    return made


def _keep_about(table: TableMesh, folder: Path) -> None:
    told: dict[str, Any] = {
        "run": folder.parent.name,
        "recorded_at": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cluster": table.cluster.kind,
        "stack": dataclasses.asdict(table.cluster.stack),
        "mesh": table.settings,
        "pods": [dataclasses.asdict(pod) for pod in _pods(table)],
        "calls": [as_json(table.asked(cell)) for cell in table.cells],
    }
    files.write_json(folder / TABLE, told)


def _pods(table: TableMesh) -> list[Pod]:
    return [
        Pod(policy, workload, pod.ip, f"{pod.namespace}/{pod.name}", pod.has_sidecar)
        for (policy, workload), pod in table.pods.items()
    ]


def _keep_dumps(table: TableMesh, folder: Path) -> None:
    def keep(key: tuple[str, str]) -> None:
        dump = envoy_admin.config_dump(table.cluster, table.pods[key])
        path = folder / "config" / f"{'-'.join(key)}.json.gz"
        files.write_bytes(path, gzip.compress(kept.text(dump).encode(), mtime=0))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keep, table.sidecars))


def _keep_logs(table: TableMesh, made: calls.Made, folder: Path) -> None:
    """Write the lines of proxies and servers once no log has grown for a while.

    The proxy that a call came to first writes a line of it when it ends, which can be late.
    """
    awaited = _first_lines(table, made)

    def keep(key: tuple[str, str]) -> None:
        pod, kept = table.pods[key], dict[str, list[str]]()
        for container in pod.containers:
            suffix = "" if container == "istio-proxy" else ".app"
            if suffix and not key[1].startswith("server"):
                continue
            lines = awaited.get(key, ()) if container == "istio-proxy" else ()
            text = logs.settled(table.cluster, pod, container, timeout=30, every=0.2, awaited=lines)
            kept.setdefault(suffix, []).extend(filter(_is_json, text.splitlines()))
        for suffix, lines in kept.items():
            files.write_text(folder / f"{'-'.join(key)}{suffix}.jsonl", "\n".join(lines) + "\n")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keep, table.pods))


def _first_lines(table: TableMesh, made: calls.Made) -> dict[tuple[str, str], list[str]]:
    """Return each proxy to which answered calls came first -> the addresses they came from."""
    answered = {str(job["id"]): job for job in made.jobs if job["outcome"] == "answered"}
    found: dict[tuple[str, str], list[str]] = {}
    for cell in table.cells:
        job, asked = answered.get(cell.key), table.asked(cell)
        if job is None or PAYLOADS[cell.sends].pooled or PAYLOADS[cell.sends].udp:
            continue
        caller = table.pods[cell.policy, asked.caller]
        first = asked.caller if caller.has_sidecar else asked.gateway
        if first:
            found.setdefault((cell.policy, first), []).append(f'"{caller.ip}:{job["source"]}"')
    return found


def _is_json(line: str) -> bool:
    return line.startswith("{")


class _Captures:
    """One tcpdump at each pod's eth0: what crosses the network, and nothing else, is seen there."""

    def __init__(self, table: TableMesh, folder: Path) -> None:
        self._table, self._folder = table, folder / "captures"
        self._running: dict[str, Capture] = {}
        # tcpdump takes seconds over some hundred ports: each pod has those of its own policy.
        self._filters = {policy: _filter(table, policy) for policy in table.policies}

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._start, self._table.pods))

    def _start(self, key: tuple[str, str]) -> None:
        name = "-".join(key)
        path = self._folder / f"{name}.pcap"
        pod = self._table.pods[key]
        self._running[name] = self._table.cluster.capture(
            pod, "eth0", self._filters[key[0]], path, kept=KEPT
        )

    def stop(self) -> None:
        """End all captures. Raises LabError where one has lost packets."""
        with ThreadPoolExecutor(8) as pool:
            ended = dict(zip(self._running, pool.map(_stop, self._running.values()), strict=True))
        lost = {name: stats.dropped for name, stats in ended.items() if stats.dropped}
        if lost:
            raise LabError(f"packets were lost while they were captured: {lost}")


def _filter(table: TableMesh, policy: str) -> str:
    numbers: dict[str, set[int]] = {"tcp": set(), "udp": set()}
    for one in of_policy(table.places.values(), policy):
        of_protocol = numbers["udp" if one.udp else "tcp"]
        of_protocol.update(filter(None, (one.number, one.target, one.at_gateway)))
    return " or ".join(
        f"{protocol} portrange {part if '-' in part else f'{part}-{part}'}"
        for protocol, own in numbers.items()
        if own
        for part in objects.ranges(own).split(",")
    )


def _stop(capture: Capture) -> CaptureStats:
    return capture.stop()
