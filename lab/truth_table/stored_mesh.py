"""The mesh that a table was measured on, read again from its recordings."""

from __future__ import annotations

import gzip
import json

from lab.common import untrusted
from lab.common.errors import BadEvidence
from lab.envoy import dump, node
from lab.envoy.mesh import Address, Mesh, Workload
from lab.truth_table.axes import CLIENT_AUTHORITIES, FOREIGN_AUTHORITIES
from lab.truth_table.recorded import Pod, Recorded


def read(recorded: Recorded) -> Mesh:
    """Return the pods and Services of a recorded table; proxies are read when a call needs them.

    Raises BadEvidence for a config dump that is not such as Envoy's.
    """
    workloads = [_workload(recorded, pod) for pod in recorded.pods.values()]
    services: dict[Address, list[Address]] = {}
    for call in recorded.calls:
        asked = call.asked
        if call.gateway:
            if asked.address != call.gateway.ip:
                services[asked.address, asked.port] = [(call.gateway.ip, asked.port)]
        elif asked.cell.address == "clusterip":
            services[asked.address, asked.port] = [(call.server.ip, asked.target)]
    pods = {one.address: one for one in workloads}
    return Mesh(pods, services, FOREIGN_AUTHORITIES, CLIENT_AUTHORITIES)


def _workload(recorded: Recorded, pod: Pod) -> Workload:
    if not pod.has_sidecar:
        return Workload(pod.name, pod.ip)
    content = _dump(recorded, pod)
    return node.workload(content, dump.read(content))


def _dump(recorded: Recorded, pod: Pod) -> object:
    path = recorded.folder / "config" / f"{pod.file}.json.gz"
    try:
        return json.loads(gzip.decompress(untrusted.read_bytes(path, recorded.folder)))
    except (ValueError, EOFError, OSError):
        raise BadEvidence(f"{path.name} is not a whole config dump") from None
