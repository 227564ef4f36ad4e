"""Tables of what packets, logs and counters show of a run's calls.

Each function takes a case and the names of calls; a call that was not made has a row that says
so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.judge.planes import read_witnesses, witnesses
from lab.judge.pod_path import handed_on
from lab.planes import agreement, stats
from lab.planes.wire import WireSeen
from lab.render.display import Table

Cells = tuple[str, ...]


def wire_table(case: Case, names: Sequence[str]) -> Table:
    """Return what crossed between the pods: security, first bytes, how often the marker is read.

    The ClientHello is readable in any TLS: which server name it asks for, and which ALPN it offers.
    """

    def cells(seen: Observation) -> Cells:
        return *_crossed(seen.wire), f"{seen.marker_count}x"

    header = ("call", "on the wire", "connection begins with", "SNI; ALPN", "marker read")
    return _table(case, names, "Packets at both pods' eth0", header, cells)


def inside_table(case: Case, names: Sequence[str]) -> Table:
    """Return what the server's sidecar sent to its application, without Istio's own TLS."""
    header = ("call", "handed on as", "connection begins with", "SNI; ALPN")
    title = "Packets between the server's sidecar and its application"
    return _table(case, names, title, header, lambda seen: _crossed(handed_on(case, seen)))


def log_table(case: Case, names: Sequence[str]) -> Table:
    """Return what the server's own proxy logged of the same connections."""

    def cells(seen: Observation) -> Cells:
        line = seen.server_line
        if line is None:
            return "no line of it", "-", "-"
        facts = seen.server.facts
        details = facts.get("details") or line.get("connection_termination_details")
        flags = f"{facts.get('flags') or '-'} {details or ''}".strip()
        unmatched = "filter_chain_not_found" in flags
        took = "nothing it knows" if unmatched else seen.server.security
        return took, str(facts.get("peer") or "-"), flags

    header = ("call", "took it for", "peer, from its certificate", "flags, details")
    return _table(case, names, "Access log of the server's proxy", header, cells)


def route_table(case: Case, names: Sequence[str]) -> Table:
    """Return where the client's own proxy sent each call."""

    def cells(seen: Observation | None) -> Cells:
        line = (seen.client_line if seen else None) or {}
        cluster = str(line.get("upstream_cluster") or "-")
        sent = str(line.get("upstream_host") or "nowhere")
        return cluster, sent, str(line.get("response_code_details") or "-")

    header = ("call", "cluster it chose", "sent to", "details")
    rows = tuple((name, *cells(case.see(name))) for name in names)
    return Table("Access log of the client's proxy", header, rows)


def strangers_table(case: Case, names: Sequence[str]) -> Table:
    """Return how callers were received that make their own TLS handshake, at both ends."""

    def cells(seen: Observation) -> Cells:
        record = seen.record
        alert = record.facts.get("alert")
        met = f"{record.outcome}" + (f" (alert {alert})" if alert else "")
        counted = stats.of_listener(record.counters.get(seen.call.to, {}), stats.INBOUND)
        tls = {name.removeprefix("ssl."): by for name, by in counted.items() if "ssl." in name}
        rose = ", ".join(f"{name} +{by}" for name, by in tls.items()) or "-"
        shown = str(record.facts.get("server_uri") or "-")
        shown += f"\nissued by {record.facts.get('server_issuer')}" if shown != "-" else ""
        return met, rose, shown

    header = ("caller", "what it met", "server's counters", "certificate it was shown")
    return _table(case, names, "What callers met at the server's sidecar", header, cells)


def witnesses_table(case: Case, names: Sequence[str]) -> Table:
    """Return what each witness says of each call, and how many agree with the packets."""

    def cells(seen: Observation) -> Cells:
        said = read_witnesses(case, seen)
        return *(one.security for one in said), agreement(said)

    header = ("call", *(plane.witness_title for plane in witnesses()), "together")
    return _table(case, names, "Every witness of the same call", header, cells)


def application_table(case: Case, names: Sequence[str]) -> Table:
    """Return what the application that was asked wrote into its own log."""

    def cells(seen: Observation | None) -> Cells:
        line = (seen.app_line if seen else None) or {}
        complaint = str(line.get("error") or line.get("code") or "-")
        caller = str(line.get("client_certificate") or "-")
        return str(line.get("spoke") or "nothing of it"), caller, complaint

    header = ("call", "what reached it", "certificate it was shown", "its complaint")
    rows = tuple((name, *cells(case.see(name))) for name in names)
    return Table("The application's own log", header, rows)


def certificates_table(case: Case, world: str) -> Table:
    """Return which identity each proxy of a world held, who issued it, and until when."""
    record = case.world(world)
    pods = record.pods if record else {}
    rows = tuple(
        (name, *(pod.certificate.get(field, "-") for field in ("spiffe", "issuer", "expires")))
        for name, pod in pods.items()
        if pod.certificate
    )
    header = ("workload", "identity", "trusted issuer", "valid until")
    return Table("Certificates in the running proxies", header, rows)


def _table(
    case: Case,
    names: Sequence[str],
    title: str,
    header: Cells,
    cells: Callable[[Observation], Cells],
) -> Table:
    """Return a row for each call; cells: all but its name."""
    unrecorded = ("no record",) * (len(header) - 1)
    observed = ((name, case.see(name)) for name in names)
    rows = tuple((name, *(cells(seen) if seen else unrecorded)) for name, seen in observed)
    return Table(title, header, rows)


def _crossed(said: WireSeen) -> Cells:
    """Return how it crossed, its first bytes, SNI and ALPN; or why none can be shown."""
    first = said.packets.first_bytes[:12]
    text = "".join(chr(b) if 32 <= b < 127 else "." for b in first)
    shown = f"{first.hex(' ')}\n{text}" if first else said.why
    hello = [said.packets.sni, ", ".join(said.packets.alpn_offered)]
    return said.security, shown, "\n".join(part for part in hello if part) or "-"
