"""What Kiali's server would tell its console of a run: the graph, and what the page asks besides.

The series come from `lab.planes.graph`, which derives them from the proxies' access logs; they are
added up here by edge, as the server of that generation added Prometheus's.
https://github.com/kiali/kiali (graph/config/cytoscape of v1.0 to v1.31)
"""

from __future__ import annotations

from collections import Counter, defaultdict
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
DURATION = 60
"""Seconds that the graph is of."""
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
    amounts: Mapping[str, int]
    """Requests by the status of their response; of TCP, bytes by `-`."""
    mutual_percent: float | None
    """Of the amount, by the destination's word; None where the server has no such series."""

    @property
    def amount(self) -> int:
        return sum(self.amounts.values())


@dataclass(frozen=True)
class Drawn:
    """What calls leave in the telemetry of a generation."""

    edges: Sequence[Edge]
    unknown: Mapping[str, str]
    """Call -> why its series are not known: it is missing from the graph."""


def draw(cases: Iterable[Case], world: str, generation: Generation) -> Drawn:
    """Return the edges of calls. cases: of one run. world: that of each, whose calls are taken."""
    known = {
        f"{case.failure.name} {call.name}": graph.derive(reported_hop(case, seen))
        for case in cases
        for call in case.failure.calls_in(world)
        if call.source != "api" and (seen := case.see(call.name)) is not None
    }
    series = [one for telemetry in known.values() for one in telemetry.series]
    locks = _by_ends(series, generation.locks)
    edges = [
        _edge(ends, drawn, locks.get(ends, []))
        for ends, drawn in sorted(_by_ends(series, generation.edges).items())
    ]
    return Drawn(edges, {name: one.missing for name, one in known.items() if one.missing})


def _edge(ends: Ends, drawn: Sequence[Series], locks: Sequence[Series]) -> Edge:
    requests = [one for one in drawn if one.metric == REQUESTS]
    amounts: Counter[str] = Counter()
    for one in requests or drawn:
        amounts[str(one.status) if requests else "-"] += one.amount
    share = graph.percent(locks) if locks else None
    return Edge(*ends, "http" if requests else "tcp", amounts, share)


def _by_ends(series: Iterable[Series], queries: Iterable[Query]) -> Mapping[Ends, list[Series]]:
    found: dict[Ends, list[Series]] = defaultdict(list)
    for one in series:
        if graph.asked(queries, one):
            found[one.source, one.destination].append(one)
    return found


class Answers:
    """The answers of a server that knows one namespace, in which a run's calls were made."""

    def __init__(self, edges: Sequence[Edge], generation: Generation) -> None:
        self.edges, self._generation = edges, generation

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
            "namespaces": [{"name": NAMESPACE}],
            "mesh/tls": {"status": _NO_OPINION},
            f"namespaces/{NAMESPACE}/tls": {"status": _NO_OPINION},
            "istio/status": [],
            "istio/permissions": {},
            "jaeger": {"enabled": False},
            "grafana": {"externalLinks": []},
        }

    def _graph(self, with_security: bool) -> Json:
        callers = {one.source for one in self.edges}
        called = {one.destination for one in self.edges}
        nodes = [{"data": _node(name, name not in called)} for name in sorted(callers | called)]
        drawn = [{"data": self._edge(one, with_security)} for one in self.edges]
        return {
            "timestamp": 1564617600,
            "duration": DURATION,
            "graphType": "versionedApp",
            "elements": {"nodes": nodes, "edges": drawn},
        }

    def _edge(self, one: Edge, with_security: bool) -> Json:
        shares = {code: 100 * amount / one.amount for code, amount in one.amounts.items()}
        own: Json = {
            "id": _id(f"{one.source} {one.destination}"),
            "source": _id(one.source),
            "target": _id(one.destination),
            "traffic": {
                "protocol": one.protocol,
                "rates": self._rates(one),
                "responses": {code: self._response(one, share) for code, share in shares.items()},
            },
        }
        percent = one.mutual_percent
        if with_security and percent is not None and (percent > 0 or self._sends_zero):
            own["isMTLS"] = f"{percent:.0f}"
        return own

    def _rates(self, one: Edge) -> Json:
        if one.protocol == "tcp":
            return {"tcp": f"{one.amount / DURATION:.2f}"}
        of_caller = sum(each.amount for each in self.edges if _of_same(each, one))
        classes: Counter[str] = Counter()
        for code, amount in one.amounts.items():
            classes[f"http{code[0]}xx"] += amount
        wrong = classes["http4xx"] + classes["http5xx"]
        return {
            "http": f"{one.amount / DURATION:.2f}",
            **{name: f"{amount / DURATION:.2f}" for name, amount in classes.items() if amount},
            "httpPercentErr": f"{100 * wrong / one.amount:.1f}",
            "httpPercentReq": f"{100 * one.amount / of_caller:.1f}",
        }

    def _response(self, one: Edge, share: float) -> Json:
        told = f"{share:.1f}"
        if self._sends_zero:
            return {"-": told}
        return {"flags": {"-": told}, "hosts": {one.destination: told}}

    @property
    def _sends_zero(self) -> bool:
        """Return whether it is a server before 1.6, which tells a percentage of 0 too."""
        return all(query.metric == REQUESTS for query in self._generation.locks)


def _of_same(one: Edge, other: Edge) -> bool:
    return (one.source, one.protocol) == (other.source, other.protocol)


def _node(name: str, is_root: bool) -> Json:
    own: Json = {"id": _id(name), "cluster": CLUSTER, "version": "v1"}
    if name in (graph.PASSTHROUGH, UNKNOWN):
        own |= {"nodeType": "service", "service": name, "namespace": "unknown"}
    else:
        own |= {"nodeType": "app", "workload": name, "app": name, "namespace": NAMESPACE}
    return {**own, "isRoot": True} if is_root else own


def _id(text: str) -> str:
    return text.encode().hex()
