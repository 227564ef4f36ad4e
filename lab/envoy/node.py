"""Whose proxy a config dump is of: its bootstrap says so."""

from __future__ import annotations

import json
from typing import Any

from lab.envoy import interception
from lab.envoy.dump import Proxy, refusing_other_shapes
from lab.envoy.mesh import Workload

DOMAIN = "cluster.local"
"""Istio's trust domain, where a dump does not show another."""


@refusing_other_shapes()
def workload(dump: Any, proxy: Proxy) -> Workload:
    """Return the pod of a proxy. Raises BadEvidence for a dump that does not say whose it is."""
    bootstraps = [part["bootstrap"] for part in dump["configs"] if "bootstrap" in part]
    if not bootstraps:
        raise ValueError("no bootstrap is in it, which says whose proxy it is")
    bootstrap = bootstraps[0]
    kind, address, name, _ = str(bootstrap["node"]["id"]).split("~")
    pod, _, namespace = name.rpartition(".")
    metadata = bootstrap["node"].get("metadata") or {}
    account = metadata.get("SERVICE_ACCOUNT", "default")
    sidecar = kind == "sidecar"
    annotations = metadata.get("ANNOTATIONS") or {}
    takes = interception.by_annotations(annotations) if sidecar else None
    return Workload(
        f"{namespace}/{pod}",
        address,
        f"spiffe://{_trust_domain(proxy)}/ns/{namespace}/sa/{account}",
        lambda: proxy,
        takes if metadata.get("INTERCEPTION_MODE", "REDIRECT") != "NONE" else None,
        sidecar,
    )


def _trust_domain(proxy: Proxy) -> str:
    """Return the domain that the proxy's own listener asks of its clients' certificates."""
    inbound = proxy.listeners.get(("0.0.0.0", 15006)) or {}
    for chain in inbound.get("filter_chains", ()):
        _, found, rest = json.dumps(chain.get("transport_socket")).partition('"spiffe://')
        if found:
            return rest.partition("/")[0]
    return DOMAIN
