"""A table of the filter chains that a server's sidecar has for a port."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lab.envoy import dump, listener
from lab.envoy.chains import MANAGER
from lab.envoy.matching import RAW, TLS, Chain
from lab.judge.case import Case
from lab.render.display import Table

INBOUND = 15006
"""The port of the sidecar's listener for what comes to its pod, virtualInbound."""
_TRANSPORTS = {TLS: "TLS", RAW: "no TLS"}


def chains_table(case: Case, names: Sequence[str]) -> Table:
    """Return the chains for the port that each call asks, as the proxy had them for that call.

    Raises BadEvidence where a configuration is damaged.
    """
    header = ("call", "filter chain", "takes", "ALPN, or protocol", "what it does")
    rows = [(name, *row) for name in names for row in _rows(case, name)]
    return Table("Filter chains of the server's sidecar for this port", header, tuple(rows))


def _rows(case: Case, name: str) -> Iterator[tuple[str, ...]]:
    seen = case.see(name)
    world = case.world(seen.record.world) if seen else None
    if seen is None or world is None or not world.pods[seen.call.to].sidecar:
        yield "no record" if seen is None else "no sidecar", "-", "-", "-"
        return
    proxy = case.files.workload(world, seen.call.to, seen.record).proxy
    inbound = listener.at(proxy, INBOUND) if proxy else None
    for chain in (inbound or {}).get("filter_chains") or ():
        match = chain.get("filter_chain_match") or {}
        if int(match.get("destination_port") or 0) == seen.record.target:
            takes = _TRANSPORTS.get(match.get("transport_protocol", ""), "both")
            named = ", ".join(match.get("application_protocols") or ()) or "any"
            yield str(chain.get("name", "")), takes, named, _does(chain)


def _does(chain: Chain) -> str:
    kinds = {dump.type_of(one.get("typed_config") or {}) for one in chain.get("filters") or ()}
    goes_on = "reads HTTP" if MANAGER in kinds else "carries bytes"
    return f"{_ends_tls(chain)}{goes_on}"


def _ends_tls(chain: Chain) -> str:
    socket: Any = (chain.get("transport_socket") or {}).get("typed_config") or {}
    if not socket:
        return ""
    asks = "mutual TLS" if socket.get("require_client_certificate") else "TLS"
    return f"decrypts {asks}, "
