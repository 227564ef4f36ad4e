"""The graph: what Kiali's rules would draw of one hop, from the telemetry that there is.

Stock Envoy keeps no `istio_*` metric, so the series are worked out from the proxies' access logs
as Istio's own filter would count them (contrib/istio/filters/http/istio_stats in Envoy 1.38). That
is a derived plane: it tells what a person would have been shown, and is no witness of the wire.
Where proxies have Istio's filters nothing is derived: what they counted is to be recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from lab.planes import Fact, Security, Seen
from lab.planes.kiali import (
    LOCK_ABOVE,
    RECEIVED,
    REQUESTS,
    SENT,
    UNKNOWN,
    Generation,
    Metric,
    Query,
    Reporter,
)
from lab.planes.log import Line, both_named, field_text

SOURCE = "a model of Kiali's rules"
Drawn = Literal["lock", "no lock", "no edge", "unknown"]
DRAWN: tuple[str, ...] = get_args(Drawn)
Policy = Literal["mutual_tls", "none", "unknown"]
"""connection_security_policy. `none` is *no mutual TLS*, which is not the same as plaintext."""
PASSTHROUGH = "PassthroughCluster"
_NO_TCP = "where TCP is not counted"
_MEANS: dict[Drawn, Security] = {
    "lock": "mutual_tls",
    "no lock": "unknown",
    "no edge": "none",
    "unknown": "unknown",
}
"""A lock that is missing says nothing of the wire."""


@dataclass(frozen=True)
class ReportedHop:
    """What the telemetry of one hop is derived from."""

    client: str
    service: str
    """The Service that was asked, or the workload where there is none."""
    client_reports: bool
    """The hop passed a sidecar (or gateway) at its beginning."""
    server_reports: bool
    client_line: Line | None
    server_line: Line | None
    flavour: str
    """Of the proxies: `stock` or `istio`."""
    doubt: str = ""
    """Why these lines may be another connection's, or that there is none to be had."""
    unheard: str = ""
    """Why nothing of this hop came to the server: then its silence is an answer."""


@dataclass(frozen=True)
class Series:
    """What one call adds to a metric, by the labels that Kiali asks for."""

    metric: Metric
    reporter: Reporter
    policy: Policy
    source: str
    destination: str
    amount: int
    status: int = field(default=0, compare=False)
    """The response's, of a request; no label that tells an edge or a lock from another."""


@dataclass(frozen=True)
class Telemetry:
    """All series of one hop; or why not all can be known."""

    series: tuple[Series, ...] = ()
    silent: tuple[str, ...] = ()
    """Why a reporter has nothing to say of it."""
    missing: str = ""
    """Why the series are not known; empty: they are all that there are."""


def derive(hop: ReportedHop) -> Telemetry:
    """Return the series that Istio's telemetry would have of a hop, from its access-log lines.

    - A request (a line with a method) adds one to istio_requests_total; a TCP connection adds its
      bytes to istio_tcp_*. What was refused before that, in a handshake or because no filter chain
      matched, never comes to the filter that counts.
    - The client's proxy reports as `source`, and its policy is always `unknown`; a gateway reports
      as `source` only. The server's sidecar reports as `destination`: `mutual_tls` where both
      certificates had a SPIFFE name, else `none`.
    - What goes to PassthroughCluster is counted for that name, and not for the Service.
    """
    missing = _missing(hop)
    if missing:
        return Telemetry(missing=missing)
    silent: list[str] = []
    series = [*_from_source(hop, silent), *_from_destination(hop, silent)]
    return Telemetry(tuple(one for one in series if one.amount > 0), tuple(silent))


def _missing(hop: ReportedHop) -> str:
    if hop.flavour == "istio":
        return "these proxies keep Istio's own metrics, which were not recorded; none is derived"
    if hop.flavour != "stock":
        return "it was not recorded which filters these proxies have"
    if hop.doubt:
        return hop.doubt
    if hop.client_reports and hop.client_line is None:
        return "the client's proxy has no line of this call"
    if hop.server_reports and hop.server_line is None and not _ended_at_client(hop):
        return "the server's proxy has no line of this connection"
    return ""


def _ended_at_client(hop: ReportedHop) -> str:
    """Return why the server's proxy has nothing to say, or nothing."""
    if hop.unheard:
        return hop.unheard
    answered = hop.client_line is not None and not field_text(hop.client_line, "upstream_host")
    return "the client's proxy answered by itself" if answered else ""


def _from_source(hop: ReportedHop, silent: list[str]) -> list[Series]:
    line = hop.client_line
    if not hop.client_reports or line is None:
        silent.append("no proxy of the client's carried it")
        return []
    cluster = field_text(line, "upstream_cluster")
    parts = cluster.split("|")
    to = parts[3].partition(".")[0] if len(parts) == 4 else cluster or hop.service
    if to == PASSTHROUGH:
        silent.append(f"the client's proxy counts it for {PASSTHROUGH}")
    return _counted(line, "source", "unknown", hop.client, to)


def _from_destination(hop: ReportedHop, silent: list[str]) -> list[Series]:
    line = hop.server_line
    if not hop.server_reports or line is None:
        silent.append(_ended_at_client(hop) or "no sidecar of the server's carried it")
        return []
    cluster = field_text(line, "upstream_cluster")
    if cluster.startswith("outbound|"):
        silent.append("a gateway reports as source only")
        return []
    if not cluster and not field_text(line, "method"):
        refused = field_text(line, "response_code_details") or field_text(line, "response_flags")
        silent.append(f"the server's proxy refused it before it was counted: {refused}")
        return []
    policy: Policy = "mutual_tls" if both_named(line) else "none"
    found = _counted(line, "destination", policy, _caller(hop, policy, line), hop.service)
    if not any(one.amount for one in found):
        silent.append("nothing came through to the server")
    return found


def _caller(hop: ReportedHop, policy: Policy, line: Line) -> str:
    """Return the caller as the server's proxy knows it: by its sidecar, within mTLS or HTTP."""
    introduced = field_text(hop.client_line or {}, "upstream_cluster").startswith("outbound|")
    known = introduced and (policy == "mutual_tls" or field_text(line, "method"))
    return hop.client if known else UNKNOWN


def _counted(
    line: Line, reporter: Reporter, policy: Policy, source: str, destination: str
) -> list[Series]:
    if field_text(line, "method"):
        status = _number(line, "response_code")
        return [Series(REQUESTS, reporter, policy, source, destination, 1, status)]
    return [
        Series(metric, reporter, policy, source, destination, _number(line, name))
        for metric, name in ((SENT, "bytes_sent"), (RECEIVED, "bytes_received"))
    ]


def _number(line: Line, name: str) -> int:
    value = line.get(name)
    return value if isinstance(value, int) else 0


def says(generation: Generation, telemetry: Telemetry) -> Seen:
    """Return what one generation of Kiali would draw of a hop.

    The security is `mutual_tls` for a lock, `none` where no edge is drawn, and else `unknown`.
    """
    facts: dict[str, Fact] = {
        "generation": generation.name,
        "tag": generation.tag,
        "when": generation.when,
    }
    if telemetry.missing:
        return _seen("unknown", telemetry.missing, facts)
    edges = [one for one in telemetry.series if asked(generation.edges, one)]
    facts["edges"] = list(dict.fromkeys(f"{one.source} to {one.destination}" for one in edges))
    if not edges:
        return _seen("no edge", "; ".join(telemetry.silent) or "nothing was counted", facts)
    drawn = {(one.source, one.destination) for one in edges}
    found = [
        one
        for one in telemetry.series
        if asked(generation.locks, one) and (one.source, one.destination) in drawn
    ]
    share = percent(found)
    facts["percent"] = share
    if share > LOCK_ABOVE:
        why = f"the destination reports {share:.0f} % of it as mutual_tls"
        return _seen("lock", why, facts)
    return _seen("no lock", _unlocked(generation, telemetry, found), facts)


def asked(queries: Iterable[Query], one: Series) -> bool:
    """Return whether a generation's queries have a series."""
    return any(
        (query.metric, query.reporter) == (one.metric, one.reporter)
        and (one.source == UNKNOWN or not query.unknown_callers)
        for query in queries
    )


def percent(series: Sequence[Series]) -> float:
    """Return how much of the series is mutual_tls, as Kiali reckons it."""
    total = sum(one.amount for one in series)
    mutual = sum(one.amount for one in series if one.policy == "mutual_tls")
    return 100 * mutual / total if total else 0.0


def _unlocked(generation: Generation, telemetry: Telemetry, found: Sequence[Series]) -> str:
    """Return why an edge has no lock: nobody asked, nobody said, or somebody said otherwise."""
    if found:
        return f"the destination reports connection_security_policy {found[0].policy}"
    metrics = dict.fromkeys(query.metric for query in generation.locks)
    told = [one for one in telemetry.series if one.reporter == "destination"]
    if told and not any(one.metric in metrics for one in told):
        asked = f"it asks {' and '.join(metrics)} for locks"
        return f"{asked}, {'and the server sent nothing' if SENT in metrics else _NO_TCP}"
    said = "only the source reports it, whose connection_security_policy is always unknown"
    return "; ".join((said, *telemetry.silent))


def _seen(drawn: Drawn, because: str, facts: dict[str, Fact]) -> Seen:
    why = f"{'cannot be said' if drawn == 'unknown' else drawn}: {because}"
    facts |= {"drawn": drawn, "because": because}
    return Seen("graph", SOURCE, _MEANS[drawn], why, facts, derived=True)
