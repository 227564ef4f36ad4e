"""Two workloads of a mesh whose certificates are of different authorities."""

from __future__ import annotations

from collections.abc import Iterator

from lab.audit import certificates, seen
from lab.audit.edges import Edge
from lab.audit.rule import Audited, Found, MeshRule
from lab.envoy.dump import Proxy


def _found(there: Audited) -> Iterator[Found]:
    by_ends: dict[tuple[str, str], list[Edge]] = {}
    for edge in there.edges:
        if edge.in_mesh and edge.crossed == "mutual_tls" and edge.server:
            by_ends.setdefault((edge.caller.name, edge.server.name), []).append(edge)
    for edges in by_ends.values():
        caller, server = edges[0].caller, edges[0].server
        if caller.proxy and server and server.proxy:
            for whose, by in ((caller, server), (server, caller)):
                assert whose.proxy is not None
                assert by.proxy is not None
                if _is_refused(whose.proxy, by.proxy):
                    cause = f"secret ROOTCA of {seen.workload(by.name)}"
                    yield Found(seen.workload(whose.name), (cause,), tuple(edges))


def _is_refused(whose: Proxy, by: Proxy) -> bool:
    """Return whether a chain leads to none of the other's authorities; what is unread is not."""
    chain, roots = certificates.shown(whose), certificates.trusted(by)
    return bool(chain and roots) and not certificates.leads_to(chain, roots)


RULE = MeshRule(
    "another-root",
    "high",
    "shows a certificate that the other end does not trust: mTLS between the two is refused",
    "One of the two was given its certificate, or its authorities, by another CA: a root that was "
    "replaced, or an istiod with a CA of its own.",
    "Distribute both roots until each workload has been given a certificate of the new one.",
    ("rest_mtls",),
    _found,
)
