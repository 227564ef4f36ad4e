"""The proxies' own counters: which connections and handshakes a call took.

Inbound TLS is counted for one listener that takes all edges, so a rise belongs to a call only
where nothing else called meanwhile: a world's calls are made one after the other.
https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/stats
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lab.planes import Fact, Security, Seen
from lab.planes.log import CLIENT, SERVER

Counters = Mapping[str, int]
INBOUND = 15006
"""The listener that a sidecar's pod is called through; a router has one for each of its ports."""
_OUTBOUND = re.compile(r"cluster\.(outbound\|[^;]+|[^;|]*Cluster);?\.(.+)")
FAILED = frozenset(
    f"ssl.{name}"
    for name in ("fail_verify_no_cert", "fail_verify_error", "fail_verify_san", "connection_error")
)
"""Counters of handshakes that failed; the last one is of TLS itself, or of the caller's alert."""


def of_listener(rose: Counters, port: int) -> dict[str, int]:
    """Return what rose at one listener of all addresses, by the counters' own names."""
    prefix = f"listener.0.0.0.0_{port}."
    found = {name.removeprefix(prefix): by for name, by in rose.items() if name.startswith(prefix)}
    return {name: by for name, by in found.items() if not name.startswith("worker_")}


def server_says(rose: Counters | None, listener: int = INBOUND) -> Seen:
    """Return what the answering proxy counted while one call was made.

    rose: by how much its counters rose; None where they were not recorded.
    """
    if rose is None:
        return Seen("stats", SERVER, "unknown", "its counters were not recorded")
    counted = of_listener(rose, listener)
    return _seen(SERVER, *_took(counted), counted)


def client_says(rose: Counters | None) -> Seen:
    """Return what the calling proxy counted, for an edge whose other end has no proxy."""
    if rose is None:
        return Seen("stats", CLIENT, "unknown", "its counters were not recorded")
    outbound = ((_OUTBOUND.fullmatch(name), by) for name, by in rose.items())
    counted = {f"{found[1]} {found[2]}": by for found, by in outbound if found}
    opened = [name for name in counted if name.endswith(" upstream_cx_total")]
    if len(opened) != 1 or counted[opened[0]] != 1:
        return _seen(CLIENT, "unknown", f"it opened {sum(counted[n] for n in opened)}", counted)
    cluster = opened[0].partition(" ")[0]
    if counted.get(f"{cluster} ssl.handshake") == 1:
        return _seen(CLIENT, "tls", f"one connection of {cluster}, with a handshake", counted)
    if "|" not in cluster:
        why = f"one connection of {cluster}, which passes on what it is given"
        return _seen(CLIENT, "unknown", why, counted)
    return _seen(CLIENT, "plaintext", f"one connection of {cluster}, and no handshake", counted)


def _seen(source: str, security: Security, why: str, counted: Counters) -> Seen:
    facts: dict[str, Fact] = dict(sorted(counted.items()))
    return Seen("stats", source, security, why, facts)


def _took(counted: Counters) -> tuple[Security, str]:
    if unmatched := counted.get("no_filter_chain_match"):
        return "unknown", f"no_filter_chain_match +{unmatched}: it did not look into what came"
    opened = counted.get("downstream_cx_total", 0)
    if opened != 1:
        why = "which was the call's?" if opened else "it may have gone over one that was open"
        return "unknown", f"{opened} connections were opened to it meanwhile: {why}"
    if failed := [f"{name} +{counted[name]}" for name in sorted(FAILED & counted.keys())]:
        return "tls", f"one connection, and its handshake failed: {', '.join(failed)}"
    return _shaken(counted.get("ssl.handshake", 0), counted.get("ssl.no_certificate", 0))


def _shaken(shaken: int, nameless: int) -> tuple[Security, str]:
    """Return what one connection was, by how many handshakes ended well, and how many nameless."""
    if shaken > 1:
        return "unknown", f"one connection, and {shaken} handshakes: which was the call's?"
    if not shaken:
        return "plaintext", "one connection, and no handshake: no TLS of the proxy's own"
    if nameless:
        return "tls", "one connection, one handshake, and no client certificate in it"
    return "mutual_tls", "one connection, one handshake, and a client certificate in it"
