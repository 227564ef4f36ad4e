"""Whether a node sends on what is for a ClusterIP.

kube-proxy writes its rules later than the API tells of a change: a Service whose port gets another
name has no endpoint of that name for a moment, and whoever calls its ClusterIP then is refused by
the node. Up to a second was measured on kind, and some 0.1 s on the embedded cluster. Proxies that
have the Service's endpoints do not go that way; those that pass a connection on do.
https://kubernetes.io/docs/reference/networking/virtual-ips/#optimizing-iptables-mode-performance
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from typing import NamedTuple

from clusters.base import Cluster, PodRef
from lab import proxy
from lab.wait import until

SECONDS = 20.0


class Way(NamedTuple):
    """From a pod to a Service's ClusterIP."""

    pod: PodRef
    service: str
    address: str
    port: int


def wait(cluster: Cluster, ways: Iterable[Way]) -> None:
    """Until nothing on these ways is refused by the node. Raises TimedOut with what is.

    Each is tried with a connection of its own, which no call and no capture is concluded from.
    """
    waiting = list(dict.fromkeys(ways))

    def look() -> bool:
        waiting[:] = [way for way in waiting if _refused(cluster, way)]
        return not waiting

    until(
        look,
        "Services to be served",
        timeout=SECONDS,
        every=0.05,
        last_seen=lambda: ", ".join(f"{one.service}:{one.port} refused" for one in waiting),
    )


def _refused(cluster: Cluster, way: Way) -> bool:
    """The caller is told; or its sidecar is, which passed its connection on."""
    before = _failed(cluster, way)
    argv = ["say", way.service, str(way.port), f"lab-{secrets.token_hex(12)}"]
    done = cluster.exec(way.pod, argv, timeout=15)
    try:
        told = json.loads(done.stdout)["outcome"]
    except (LookupError, TypeError, ValueError):
        return False  # a pod that has no such program: the call itself will show what there is
    return told == "refused" or _failed(cluster, way) > before


def _failed(cluster: Cluster, way: Way) -> int:
    if not way.pod.has_sidecar:
        return 0
    return proxy.not_connected(cluster, way.pod, f"{way.address}:{way.port}")
