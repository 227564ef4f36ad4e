"""What proxies' gauges say of connections that wait: read while hung calls are repeated.

A connection is counted by `downstream_pre_cx_active` of its listener while listener filters wait
for its first bytes, and by `downstream_cx_active` of its HTTP chain from then on. Whether an HTTP
chain still waits for a request does not show by `downstream_rq_active`: that counts a request from
its first byte on.
https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/stats
https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/stats
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

PATTERN = "downstream_(pre_cx|cx)_active$"
"""Of the gauges that are kept, those that count connections."""
INBOUND = 15006
"""The one listener that takes all that comes to a pod."""
_BEFORE = re.compile(r"listener\.[^_]+_(\d+)\.downstream_pre_cx_active")
_OUTBOUND = re.compile(r"http\.outbound_[^_]+_(\d+);?\.downstream_cx_active")
_INBOUND = re.compile(r"http\.inbound_[^_]+_(\d+);?\.downstream_cx_active")


@dataclass(frozen=True)
class Reading:
    """The gauges of one pod's proxy that were not zero."""

    pod: str
    """Of `Pod.file`: its policy and its workload."""
    began: float
    """Unix seconds; the gauges were read between `began` and `ended`."""
    ended: float
    gauges: Mapping[str, int]

    def waiting_to_leave(self, port: int) -> int:
        """Return how many connections to a port wait in the proxy of their caller."""
        return self._count(_BEFORE, port) + self._count(_OUTBOUND, port)

    def waiting_to_enter(self) -> int:
        """Return how many connections wait in the proxy of their server."""
        return self._count(_BEFORE, INBOUND) + self._count(_INBOUND)

    def _count(self, of: re.Pattern[str], port: int | None = None) -> int:
        each = ((of.fullmatch(name), value) for name, value in self.gauges.items())
        return sum(value for found, value in each if found and port in (None, int(found[1])))


def as_json(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """Return readings for a file."""
    return [asdict(one) for one in readings]


def from_json(stored: Sequence[dict[str, Any]]) -> list[Reading]:
    """Return what `as_json` wrote."""
    return [Reading(**one) for one in stored]
