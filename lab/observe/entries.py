"""Finds what stands behind a host that a ServiceEntry adds to the mesh.

https://istio.io/latest/docs/reference/config/networking/service-entry/
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from clusters.kube import ApiError, Kube, Obj
from lab.common import port_protocols
from lab.common.errors import BadArguments
from lab.record.world import ready

ENTRIES = "/apis/networking.istio.io/v1/serviceentries"


class Entry(NamedTuple):
    """A port of a ServiceEntry's host."""

    namespace: str
    address: str
    """That the entry gives the host; empty: none."""
    spoken: str
    target: int
    """Where its pods listen."""
    pods: list[Obj]


def find(kube: Kube, host: str, number: int) -> Entry | None:
    """Return what a host and a port lead to; None where no ServiceEntry names the host.

    Raises BadArguments for a port that is not there, and where no pod of the cluster stands behind.
    """
    found: list[Obj] = []
    with contextlib.suppress(ApiError):  # a cluster without Istio has no such kind
        found = [one for one in kube.items(ENTRIES) if host in one["spec"].get("hosts", ())]
    if not found:
        return None
    entry = found[0]
    spec, namespace = entry["spec"], str(entry["metadata"]["namespace"])
    port = next((one for one in spec.get("ports") or () if one["number"] == number), None)
    if port is None:
        there = ", ".join(str(one["number"]) for one in spec.get("ports") or ()) or "none"
        raise BadArguments(f"ServiceEntry host {host} has no port {number}: it has {there}")
    ends = [one for one in spec.get("endpoints") or () if one.get("address")]
    pods = [one for one in kube.items("/api/v1/pods") if ready(one) and _stands(one, entry)]
    if not pods:
        to = ", ".join(str(one["address"]) for one in ends) or "no address"
        raise BadArguments(
            f"ServiceEntry host {host} leads to {to}, which is no pod of this cluster: who answers "
            "cannot be captured"
        )
    own = (one["ports"][port["name"]] for one in ends if port["name"] in (one.get("ports") or {}))
    target = int(next(own, port.get("targetPort") or number))
    address = next((one for one in spec.get("addresses") or () if "/" not in one), "")
    spoken = port_protocols.declared("", str(port.get("protocol", "")))
    return Entry(namespace, address, spoken, target, pods)


def _stands(pod: Obj, entry: Obj) -> bool:
    """Return whether a pod is one of an entry's endpoints, by its address or by its labels."""
    spec, meta = entry["spec"], pod["metadata"]
    addresses = [one.get("address") for one in spec.get("endpoints") or ()]
    if pod["status"].get("podIP") in addresses:
        return True
    wanted = (spec.get("workloadSelector") or {}).get("labels") or {}
    own = meta.get("labels") or {}
    same = meta["namespace"] == entry["metadata"]["namespace"]
    return bool(wanted) and same and wanted.items() <= own.items()
