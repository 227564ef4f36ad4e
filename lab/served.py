"""Whether a node sends on what is for a ClusterIP.

kube-proxy writes its rules later than the API tells of a change, by its default once a second at
most. A Service whose port gets another name has no endpoint of that name for a moment, and whoever
calls its ClusterIP then is refused by the node; on the embedded cluster that was measured to last
some 0.1 s. Proxies that have the Service's endpoints do not go that way; those that pass a
connection on do.
https://kubernetes.io/docs/reference/networking/virtual-ips/#optimizing-iptables-mode-performance
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from clusters.base import Cluster, PodRef
from lab import proxy
from lab.wait import until

SECONDS = 20.0
NOT_CONNECTED = (7, 28)
"""curl's codes: refused, and nothing came back in time."""


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
    """The caller is told; or its sidecar is, which takes any connection and passes it on."""
    before = _failed(cluster, way)
    argv = ["curl", "-s", "--max-time", "2", f"http://{way.service}:{way.port}/"]
    if not way.pod.has_sidecar:
        argv.append("--connect-only")
    done = cluster.exec(way.pod, argv, timeout=15)
    return done.code in NOT_CONNECTED or _failed(cluster, way) > before


def _failed(cluster: Cluster, way: Way) -> int:
    if not way.pod.has_sidecar:
        return 0
    return proxy.not_connected(cluster, way.pod, f"{way.address}:{way.port}")
