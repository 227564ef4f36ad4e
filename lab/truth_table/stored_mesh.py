"""The mesh that a table was measured on, read again from its recordings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lab.common import untrusted
from lab.envoy import dump, node
from lab.envoy.mesh import Address, Mesh, Workload
from lab.truth_table.asked import Asked
from lab.truth_table.axes import CLIENT_AUTHORITIES, FOREIGN_AUTHORITIES
from lab.truth_table.recorded import Pod, Recorded


def read(recorded: Recorded) -> Mesh:
    """Return the pods and Services of a recorded table; proxies are read when a call needs them.

    Raises BadEvidence for a config dump that is not such as Envoy's.
    """
    return mesh(recorded.folder, recorded.pods.values(), (call.asked for call in recorded.calls))


def mesh(folder: Path, pods: Iterable[Pod], calls: Iterable[Asked]) -> Mesh:
    """Return the mesh of these pods, by the config dumps that are in a table's folder."""
    there = {(pod.policy, pod.workload): pod for pod in pods}
    workloads = [_workload(folder, pod) for pod in there.values()]
    services: dict[Address, list[Address]] = {}
    for asked in calls:
        policy = asked.cell.policy
        gateway = there.get((policy, asked.gateway))
        if gateway:
            if asked.address != gateway.ip:
                services[asked.address, asked.port] = [(gateway.ip, asked.port)]
        elif asked.cell.address == "clusterip":
            services[asked.address, asked.port] = [(there[policy, asked.server].ip, asked.target)]
    known = {one.address: one for one in workloads}
    return Mesh(known, services, FOREIGN_AUTHORITIES, CLIENT_AUTHORITIES)


def _workload(folder: Path, pod: Pod) -> Workload:
    if not pod.has_sidecar:
        return Workload(pod.name, pod.ip)
    content = _dump(folder, pod)
    return node.workload(content, dump.read(content))


def _dump(folder: Path, pod: Pod) -> object:
    return untrusted.read_compressed_json(folder / "config" / f"{pod.file}.json.gz", folder)
