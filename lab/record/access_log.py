"""Adds the access log that the log plane reads, where the mesh's own is off or different.

Mesh settings are not the lab's to change: an EnvoyFilter in a run's own namespace adds one more
log to the proxies there, in the format that the lab's own clusters have for the whole mesh.
https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from clusters.kube import Obj
from clusters.log_format import LOG_FIELDS

TYPES = "type.googleapis.com/envoy.extensions"
FILTERS = {
    "envoy.filters.network.http_connection_manager": (
        f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"
    ),
    "envoy.filters.network.tcp_proxy": f"{TYPES}.filters.network.tcp_proxy.v3.TcpProxy",
}
"""Filters that end a connection or a request: each of them writes a line."""


def has_our_fields(config: Mapping[str, Any]) -> bool:
    """Return whether a mesh's own log (in its meshConfig) has every field that the lab reads."""
    try:
        format_ = json.loads(str(config.get("accessLogFormat") or "{}"))
    except (ValueError, RecursionError):
        return False
    if not isinstance(format_, dict):
        return False
    where = (config.get("accessLogFile"), config.get("accessLogEncoding"))
    return where == ("/dev/stdout", "JSON") and LOG_FIELDS.items() <= format_.items()


def envoy_filter() -> Obj:
    """Return the EnvoyFilter that adds our log to every proxy of the namespace it is applied in."""
    patches = [
        {
            "applyTo": "NETWORK_FILTER",
            "match": {"listener": {"filterChain": {"filter": {"name": name}}}},
            "patch": _merge(
                {"name": name, "typed_config": {"@type": kind, "access_log": [_log()]}}
            ),
        }
        for name, kind in FILTERS.items()
    ]
    # A connection that no filter chain takes is told by the listener alone: flag NR.
    unmatched = {**_log(), "filter": {"response_flag_filter": {"flags": ["NR"]}}}
    patches.append({"applyTo": "LISTENER", "patch": _merge({"access_log": [unmatched]})})
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "lab-access-log"},
        "spec": {"configPatches": patches},
    }


def _merge(value: Obj) -> Obj:
    return {"operation": "MERGE", "value": value}


def _log() -> Obj:
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{TYPES}.access_loggers.file.v3.FileAccessLog",
            "path": "/dev/stdout",
            "log_format": {"json_format": LOG_FIELDS},
        },
    }
