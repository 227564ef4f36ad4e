"""Measures the table on a cluster: deploys, foretells, calls, and keeps all that it recorded."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from clusters.base import Capture, CaptureStats, Cluster
from lab.common import files
from lab.common.errors import LabError
from lab.record import envoy_admin, logs, mesh_lock, world
from lab.truth_table import calls, predictions, stored_mesh
from lab.truth_table.asked import as_json
from lab.truth_table.cells import Cell
from lab.truth_table.mesh import NAME, TableMesh
from lab.truth_table.places import of_policy
from lab.truth_table.predictions import Foretold
from lab.truth_table.recorded import CALLS, PREDICTIONS, TABLE, Pod

KEPT = 8192
"""Bytes of each packet: more than any of the table's has."""

AT_ONCE = 150
"""Services: about 290 are possible for an ordinary user, and failures beside have some fifty
(docs/clusters.md, "How many Services fit")."""

Tell = Callable[[str], None]


def measure(cluster: Cluster, cells: Sequence[Cell], run: Path, tell: Tell) -> Path:
    """Measure cells on a running cluster; return the folder of what was recorded.

    Raises LabError where the mesh does not come up or the cluster does not answer; what was
    recorded until then is in the run's folder.
    """
    folder = run / NAME
    with mesh_lock.marked(cluster.lock, _label(folder), lambda dead: world.remove(cluster, dead)):
        try:
            measure_beside(cluster, cells, folder, tell)
        finally:
            world.remove(cluster, _label(folder))
    return folder


def measure_beside(cluster: Cluster, cells: Sequence[Cell], folder: Path, tell: Tell) -> None:
    """Measure cells beside whatever else a run does. Its namespaces are left to the run.

    folder: in the run's; its name labels the namespaces. Raises as `measure` does.
    """
    lock = mesh_lock.MeshLock(cluster.lock)
    lock.share()
    try:
        _measure(TableMesh(cluster, _label(folder), cells, folder.name), folder, tell)
    finally:
        lock.release()


def _label(folder: Path) -> str:
    """Return the run's name as the label of its namespaces has it."""
    return folder.parent.name.lower()


def _measure(table: TableMesh, folder: Path, tell: Tell) -> None:
    tell(f"deploying the pods for {len(table.cells)} cells")
    table.deploy()
    table.wait_ready()
    tell(f"{len(table.pods)} pods are ready")
    made: list[calls.Job] = []
    foretold: dict[str, list[Foretold]] = {}
    shards = _shards(table)
    for policies in shards:
        table.serve(policies)
        cells = [cell for cell in table.cells if cell.policy in policies]
        tell(f"{', '.join(policies)}: all sidecars hold the configuration of {len(cells)} cells")
        _keep_dumps(table, policies, folder)
        asked = [table.asked(cell) for cell in cells]
        mesh = stored_mesh.mesh(folder, _pods(table, policies), asked)
        called = [(one, table.pods[one.cell.policy, one.caller].ip) for one in asked]
        foretold |= predictions.foretell(mesh, called)
        files.write_json(folder / PREDICTIONS, predictions.as_json(foretold))
        made += _call(table, policies, cells, folder)
        files.write_text(folder / CALLS, "".join(json.dumps(one) + "\n" for one in made))
        tell(f"{', '.join(policies)}: {len(cells)} calls made")
        if policies != shards[-1]:  # the last ones go with their namespaces
            table.unserve(policies)
    _keep_about(table, folder)


def _shards(table: TableMesh) -> list[list[str]]:
    """Return the policies whose Services are served at a time: all, where an ordinary user may."""
    many = sum(bool(place.service) for place in table.places.values()) > AT_ONCE
    if many and table.cluster.kind == "embedded" and os.getuid():
        return [[policy] for policy in table.policies]
    return [table.policies]


def _call(
    table: TableMesh, policies: Sequence[str], cells: Sequence[Cell], folder: Path
) -> list[calls.Job]:
    """Make the calls of some policies, and keep packets and logs."""
    captures = _Captures(table, policies, folder)
    captures.start()
    try:
        made = calls.make(table, cells)
        _keep_logs(table, policies, folder / "logs")
    finally:
        captures.stop()
    return made


def _keep_about(table: TableMesh, folder: Path) -> None:
    told: dict[str, Any] = {
        "run": folder.parent.name,
        "recorded_at": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cluster": table.cluster.kind,
        "stack": dataclasses.asdict(table.cluster.stack),
        "pods": [dataclasses.asdict(pod) for pod in _pods(table, table.policies)],
        "calls": [as_json(table.asked(cell)) for cell in table.cells],
    }
    files.write_json(folder / TABLE, told)


def _pods(table: TableMesh, policies: Sequence[str]) -> list[Pod]:
    return [
        Pod(policy, workload, pod.ip, f"{pod.namespace}/{pod.name}", pod.has_sidecar)
        for (policy, workload), pod in table.pods.items()
        if policy in policies
    ]


def _keep_dumps(table: TableMesh, policies: Sequence[str], folder: Path) -> None:
    def keep(key: tuple[str, str]) -> None:
        dump = envoy_admin.ask(table.cluster, table.pods[key], "config_dump?include_eds")
        path = folder / "config" / f"{'-'.join(key)}.json.gz"
        files.write_bytes(path, gzip.compress(dump.encode(), 6, mtime=0))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keep, table.sidecars(policies)))


def _keep_logs(table: TableMesh, policies: Sequence[str], folder: Path) -> None:
    """Write the lines of proxies and servers once no log has grown for a while."""

    def keep(key: tuple[str, str]) -> None:
        pod = table.pods[key]
        for container in pod.containers:
            suffix = "" if container == "istio-proxy" else ".app"
            if suffix and not key[1].startswith("server"):
                continue
            text = logs.settled(table.cluster, pod, container, timeout=30, every=0.2)
            lines = [line for line in text.splitlines() if line.startswith("{")]
            files.write_text(folder / f"{'-'.join(key)}{suffix}.jsonl", "\n".join(lines) + "\n")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keep, [key for key in table.pods if key[0] in policies]))


class _Captures:
    """One tcpdump at each pod's eth0: what crosses the network, and nothing else, is seen there."""

    def __init__(self, table: TableMesh, policies: Sequence[str], folder: Path) -> None:
        self._table, self._folder = table, folder / "captures"
        self._pods = [key for key in table.pods if key[0] in policies]
        self._running: dict[str, Capture] = {}
        # tcpdump takes seconds over some hundred ports: each pod has those of its own policy.
        self._filters = {policy: _filter(table, policy) for policy in policies}

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._start, self._pods))

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
    places = of_policy(table.places.values(), policy)
    numbers = {number for one in places for number in (one.number, one.target, one.at_gateway)}
    return " or ".join(f"tcp port {number}" for number in sorted(numbers - {0}))


def _stop(capture: Capture) -> CaptureStats:
    return capture.stop()
