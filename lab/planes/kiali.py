"""Which telemetry Kiali draws edges and locks from: its rules as data, with their sources.

Read in Kiali's own sources (https://github.com/kiali/kiali, and kiali-ui for the page of its
time) at the tags that are named. It is a model: neither Kiali nor Mixer runs in this lab.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Metric = Literal[
    "istio_requests_total", "istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total"
]
Reporter = Literal["source", "destination"]
REQUESTS: Metric = "istio_requests_total"
SENT: Metric = "istio_tcp_sent_bytes_total"
RECEIVED: Metric = "istio_tcp_received_bytes_total"
"""Istio counts from the server's side: *sent* is what the server answered, *received* what came
to it (https://istio.io/latest/docs/reference/config/metrics/)."""
UNKNOWN = "unknown"
"""What a label says of whom the proxy does not know."""
LOCK_ABOVE = 0.0
"""Percent of an edge's traffic that has to be mutual_tls for a lock: any at all, in every
generation. `mtls / (mtls + other) * 100` in applySecurityPolicy, `mtlsPercentage > 0` on the page;
every policy that is not `mutual_tls`, `unknown` among them, is *other*."""


@dataclass(frozen=True)
class Query:
    """Series of one metric from one reporter."""

    metric: Metric
    reporter: Reporter
    unknown_callers: bool = False
    """Only those whose source_workload is `unknown`."""


@dataclass(frozen=True)
class Generation:
    """How one generation of Kiali draws its graph."""

    name: str
    tag: str
    """The one whose sources were read for it."""
    when: str
    """Of that tag, ISO date."""
    edges: tuple[Query, ...]
    """Whatever matches one of these is drawn as traffic, where its rate is above 0."""
    locks: tuple[Query, ...]
    """Grouped by caller, destination and connection_security_policy, and laid on the edges."""
    hides: str
    """Where its page draws no closed lock though the percentage is above 0."""
    sources: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


_CALLS_THEN = (
    Query(REQUESTS, "destination", unknown_callers=True),
    Query(REQUESTS, "source"),
    Query(SENT, "destination", unknown_callers=True),
    Query(SENT, "source"),
)
_SHOW = "its Security display is off by default"
_MESH_WIDE = f"{_SHOW}; and mTLS for the whole mesh hides every closed lock"

BEFORE_TCP = Generation(
    "Kiali before 1.6",
    "v1.4.0",
    "2019-08-30",
    _CALLS_THEN,
    (Query(REQUESTS, "destination"),),
    _MESH_WIDE,
    (
        "kiali v0.16.2 and v0.20.0 graph/appender/security_policy.go, "
        "v1.4.0 graph/telemetry/istio/appender/security_policy.go: appendGraph, "
        "applySecurityPolicy",
        "kiali v0.16.2 handlers/graph.go, v1.4.0 graph/telemetry/istio/istio.go: "
        "buildNamespaceTrafficMap",
        "kiali-ui v0.16.0, v0.20.0 and v1.4.0 src/components/CytoscapeGraph/graphs/GraphStyles.ts "
        "(v0.16.0 hides nothing for the mesh)",
        "istio install/kubernetes/helm/istio/charts/kiali/values.yaml: 1.1.9 has v0.16, "
        "1.2.0 to 1.2.5 have v0.20, 1.3.0 has v1.4",
    ),
)
"""What was bundled with Istio 1.1, 1.2 and 1.3, and what the post's authors looked at."""

WITH_TCP = Generation(
    "Kiali 1.6",
    "v1.6.0",
    "2019-10-03",
    _CALLS_THEN,
    (Query(REQUESTS, "destination"), Query(SENT, "destination")),
    _MESH_WIDE,
    (
        "kiali v1.6.0 graph/telemetry/istio/appender/security_policy.go (kiali/kiali#1722 "
        "for #1709): appendGraph asks `(http) OR (tcp)`",
        "kiali v1.6.0 graph/telemetry/istio/istio.go: buildNamespaceTrafficMap",
        "kiali-ui v1.6.0 src/components/CytoscapeGraph/graphs/GraphStyles.ts",
    ),
)
"""The first that asks for TCP's policy; Istio 1.4 bundles v1.9, which asks the same."""

TODAY = Generation(
    "Kiali 2.30",
    "v2.30.0",
    "2026-08-02",
    tuple(
        Query(metric, reporter)
        for metric in (REQUESTS, RECEIVED)
        for reporter in ("destination", "source")
    ),
    (Query(REQUESTS, "destination"), Query(SENT, "destination")),
    _SHOW,
    (
        "kiali v2.30.0 graph/telemetry/istio/appender/security_policy.go: the default rate `sent` "
        "asks istio_tcp_sent_bytes_total of the destination",
        "kiali v2.30.0 graph/telemetry/istio/istio.go: for the same rate edges are drawn from "
        "istio_tcp_received_bytes_total (`L4 telemetry is backwards`, kiali/kiali#6323)",
        "kiali v2.30.0 graph/options.go: defaultRateTcp = RateSent",
        "kiali v2.30.0 frontend/src/pages/Graph/GraphElems.tsx",
    ),
)
"""Without ambient mode: no waypoint and no ztunnel reports."""

GENERATIONS = (BEFORE_TCP, WITH_TCP, TODAY)
"""Oldest first."""
