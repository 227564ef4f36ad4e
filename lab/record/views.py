"""Reads what istiod sent to a world's proxies, again and again, until it is as wanted."""

from __future__ import annotations

import re
import time

from clusters.base import Cluster
from lab.planes import config
from lab.record import envoy_admin
from lab.record.configuration import Configuration
from lab.record.world import LiveWorld

RECEIVED = re.compile(r"^cluster\.xds-grpc;?\.upstream_cx_rx_bytes_total: ", re.MULTILINE)
"""What Envoy counts of the connection that brings its configuration."""
CHANGES = (
    r"^(cluster_manager\.(warming_|cluster_)|listener_manager\.(listener_|total_)"
    r"|cluster\.xds-grpc;?\.upstream_cx_rx_bytes_total)"
)
"""Counters and gauges of which one changes with whatever istiod sends, and as it becomes active.
https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats"""
AT_LEAST_EVERY = 1.0
"""Seconds after which a dump is read in any case: addresses of DNS names change unseen."""


def read(cluster: Cluster, live: LiveWorld, name: str) -> Configuration:
    """Return what istiod sent to a workload's proxy."""
    dump = envoy_admin.config_dump(cluster, live.pods[name])
    addresses = [service.cluster_ip for service in live.services.values()]
    view = config.reduce(dump, live.namespace, live.all_ports, addresses)
    return Configuration(view, dump)


class ConfigurationReader:
    """Reads the configurations of a world's proxies, each dump only where it may have changed.

    A dump costs a proxy as much as a hundred answers of its counters, and while one waits, all
    proxies of all worlds are asked again and again.
    """

    def __init__(self, cluster: Cluster, live: LiveWorld) -> None:
        self._cluster, self._live = cluster, live
        self._known: dict[str, tuple[str, float, Configuration]] = {}

    def read(self, name: str) -> Configuration:
        """Return the configuration of a workload's proxy as it is now."""
        told = envoy_admin.ask(self._cluster, self._live.pods[name], f"stats?filter={CHANGES}")
        before, at, found = self._known.get(name, ("", 0.0, None))
        now = time.monotonic()
        aged = now - at > AT_LEAST_EVERY
        if found is None or told != before or aged or not RECEIVED.search(told):
            found = read(self._cluster, self._live, name)
            self._known[name] = (told, now, found)
        return found
