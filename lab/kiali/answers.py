"""What Kiali's server would tell its console of a run: the graph, and what the page asks besides.

The series come from `lab.planes.graph`, which derives them from the proxies' access logs; they are
added up here by edge, as the server of that generation added Prometheus's.
https://github.com/kiali/kiali (graph/config/cytoscape of v1.0 to v1.31)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.judge.case import Case
from lab.judge.telemetry import reported_hop
from lab.planes import graph
from lab.planes.graph import Series
from lab.planes.kiali import REQUESTS, UNKNOWN, Generation, Query

Json = dict[str, Any]
Ends = tuple[str, str]
"""Who calls, and what is called, as telemetry names them."""
CLUSTER = "Kubernetes"
NAMESPACE = "with-istio"
"""The post's. A run has a namespace for each failure; the graph has one, as the post's had."""
_ALL = ".*"
_TOLERANCE = {
    "namespace": _ALL,
    "kind": _ALL,
    "name": _ALL,
    "tolerance": [
        {"code": r"^5\d\d$", "protocol": "http", "direction": _ALL, "degraded": 0, "failure": 10}
    ],
}
"""What share of errors makes an edge red, in per cent: Kiali's default for HTTP."""
_NO_OPINION = "MTLS_NOT_ENABLED"
"""Of the mesh: the lab's policies are those of namespaces."""


@dataclass(frozen=True)
class Edge:
    """One edge of the graph."""

    source: str
    destination: str
    protocol: str
    """`http` or `tcp`."""
    amount: int
    """Requests, or bytes."""
    mutual_percent: float | None
    """Of the amount, by the destination's word; None where the server has no such series."""


def edges(cases: Iterable[Case], world: str, generation: Generation) -> list[Edge]:
    """Return the edges that calls leave in the telemetry of a generation.

    cases: of one run. world: that of each, whose calls are taken.
    """
    hops = (
        reported_hop(case, seen)
        for case in cases
        for call in case.failure.calls_in(world)
        if (seen := case.see(call.name)) is not None
    )
    series = [one for hop in hops for one in graph.derive(hop).series]
    found = []
    for ends, drawn in _by_ends(series, generation.edges).items():
        asked = _by_ends(series, generation.locks).get(ends, [])
        is_http = any(one.metric == REQUESTS for one in drawn)
        amount = sum(one.amount for one in drawn if (one.metric == REQUESTS) == is_http)
        protocol = "http" if is_http else "tcp"
        share = graph.percent(asked) if asked else None
        found.append(Edge(*ends, protocol, amount, share))
    return sorted(found, key=lambda one: (one.source, one.destination))


def _by_ends(series: Iterable[Series], queries: Iterable[Query]) -> Mapping[Ends, list[Series]]:
    found: dict[Ends, list[Series]] = defaultdict(list)
    for one in series:
        if graph.asked(queries, one):
            found[one.source, one.destination].append(one)
    return found


class Answers:
    """The answers of a server that knows one namespace, in which a run's calls were made."""

    def __init__(self, cases: Sequence[Case], world: str, generation: Generation) -> None:
        self._edges = edges(cases, world, generation)
        self._generation = generation
        self.namespace = NAMESPACE
        self.edges = len(self._edges)

    def of(self, path: str, query: Mapping[str, list[str]]) -> Any:
        """Return the answer to a path below `/api/`; None where such a server has none."""
        if path == "namespaces/graph":
            return self._graph("securityPolicy" in query.get("appenders", [""])[0])
        if path.endswith("/health"):
            return {}
        if path.endswith("/metrics"):
            return {"metrics": {}, "histograms": {}}
        if path.endswith("/validations"):
            return {"errors": 0, "warnings": 0, "objectCount": 0}
        return self._others.get(path)

    @property
    def _others(self) -> Json:
        return {
            "auth/info": {
                "strategy": "anonymous",
                "sessionInfo": {"username": "anonymous", "expiresOn": "2999-01-01T00:00:00Z"},
            },
            "status": {
                "status": {"Kiali state": "running", "Kiali core version": self._generation.tag},
                "externalServices": [],
                "warningMessages": [],
            },
            "config": {
                "istioNamespace": "istio-system",
                "istioLabels": {"appLabelName": "app", "versionLabelName": "version"},
                "extensions": {"iter8": {"enabled": False}},
                "healthConfig": {"rate": [_TOLERANCE]},
                "kialiFeatureFlags": {"istioInjectionAction": False},
                "prometheus": {"globalScrapeInterval": 15, "storageTsdbRetention": 21600},
            },
            "namespaces": [{"name": self.namespace}],
            "mesh/tls": {"status": _NO_OPINION},
            f"namespaces/{self.namespace}/tls": {"status": _NO_OPINION},
            "istio/status": [],
            "istio/permissions": {},
            "jaeger": {"enabled": False},
            "grafana": {"externalLinks": []},
        }

    def _graph(self, with_security: bool) -> Json:
        names = sorted({end for one in self._edges for end in (one.source, one.destination)})
        callers = {one.source for one in self._edges}
        called = {one.destination for one in self._edges}
        nodes = [{"data": self._node(name, name in callers - called)} for name in names]
        drawn = [{"data": self._edge(one, with_security)} for one in self._edges]
        return {
            "timestamp": 1564617600,
            "duration": 60,
            "graphType": "versionedApp",
            "elements": {"nodes": nodes, "edges": drawn},
        }

    def _node(self, name: str, is_root: bool) -> Json:
        outside = name in (graph.PASSTHROUGH, UNKNOWN)
        own: Json = {
            "id": _id(name),
            "nodeType": "app",
            "namespace": self.namespace,
            "cluster": CLUSTER,
            "workload": name,
            "app": name,
            "version": "v1",
        }
        if outside:
            own |= {"nodeType": "service", "service": name, "namespace": "unknown"}
            own = {key: value for key, value in own.items() if key not in ("workload", "app")}
        return {**own, **({"isRoot": True} if is_root else {})}

    def _edge(self, one: Edge, with_security: bool) -> Json:
        traffic: Json = {"protocol": one.protocol}
        if one.protocol == "http":
            traffic["rates"] = {"http": f"{one.amount / 60:.2f}", "httpPercentReq": "100.0"}
            traffic["responses"] = {"200": self._responses("100.0", one)}
        else:
            traffic["rates"] = {"tcp": f"{one.amount / 60:.2f}"}
            traffic["responses"] = {"-": self._responses("100.0", one)}
        own: Json = {
            "id": _id(f"{one.source} {one.destination}"),
            "source": _id(one.source),
            "target": _id(one.destination),
            "traffic": traffic,
        }
        percent = one.mutual_percent
        if with_security and percent is not None and (percent > 0 or self._sends_zero):
            own["isMTLS"] = f"{percent:.0f}"
        return own

    def _responses(self, percent: str, one: Edge) -> Json:
        if self._sends_zero:
            return {"-": percent}
        return {"flags": {"-": percent}, "hosts": {one.destination: percent}}

    @property
    def _sends_zero(self) -> bool:
        """Return whether it is a server before 1.6, which tells a percentage of 0 too."""
        return all(query.metric == REQUESTS for query in self._generation.locks)


def _id(text: str) -> str:
    return text.encode().hex()
