"""What is kept of a config dump as evidence: all that a walk reads.

Two dumps of a proxy that holds the same configuration become the same text.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from typing import Any

from lab.common.redaction import redact
from lab.envoy.dump import refusing_other_shapes

Part = Mapping[str, Any]
_ENTRIES = {
    "ListenersConfigDump": {"static_listeners": "listener", "dynamic_listeners": "active_state"},
    "ClustersConfigDump": {"static_clusters": "cluster", "dynamic_active_clusters": "cluster"},
    "RoutesConfigDump": {
        "static_route_configs": "route_config",
        "dynamic_route_configs": "route_config",
    },
    "EndpointsConfigDump": {
        "static_endpoint_configs": "endpoint_config",
        "dynamic_endpoint_configs": "endpoint_config",
    },
}
"""Part of a dump -> its lists -> what of each entry is kept: what is active, without the version
and the time at which it came.
https://www.envoyproxy.io/docs/envoy/latest/api-v3/admin/v3/config_dump_shared.proto"""
_FORMAT = '"text_format_source":{"inline_string":'
"""Before a format, which says what is logged or set, and is no secret."""
_SHOWN = '"text_format_source":{"inline_format":'
"""The same, as `redact` lets it pass."""
_CLUSTERS = ("static_clusters", "dynamic_active_clusters")
_METADATA = ("SERVICE_ACCOUNT", "INTERCEPTION_MODE")
_INTERCEPTION = "traffic.sidecar.istio.io/"
"""How the annotations begin that say what a sidecar takes."""


@refusing_other_shapes()
def text(dump: Any) -> str:
    """Return a dump's part that walks read, as JSON. Secrets are not in it, nor the bootstrap.

    Of the bootstrap, whose proxy it is stays. Raises BadEvidence for what is no config dump.
    """
    runtime = _forwarding(dump)
    parts = [one for part in dump["configs"] for one in _kept(part, runtime)]
    whole = json.dumps({"configs": parts}, sort_keys=True, separators=(",", ":"))
    return redact(whole.replace(_FORMAT, _SHOWN)).replace(_SHOWN, _FORMAT)


def _forwarding(dump: Part) -> set[str]:
    """Return the clusters that send to wherever a call was going.

    Their endpoints are the calls that were made, and no configuration.
    """
    clusters = (
        one["cluster"]
        for part in dump["configs"]
        for name in _CLUSTERS
        for one in part.get(name) or ()
    )
    return {one["name"] for one in clusters if one.get("type") == "ORIGINAL_DST"}


def _kept(part: Part, runtime: Container[str]) -> Iterator[Part]:
    """Yield what is kept of one part; runtime: clusters whose endpoints are left out."""
    kind = str(part["@type"]).rpartition(".")[2]
    if kind == "BootstrapConfigDump":
        yield {"@type": part["@type"], "bootstrap": {"node": _node(part["bootstrap"]["node"])}}
    elif kind in _ENTRIES:
        lists = {
            name: [_entry(one, field) for one in part.get(name) or () if one.get(field)]
            for name, field in _ENTRIES[kind].items()
        }
        told = {
            name: [one for one in each if _endpoints_of(one) not in runtime]
            for name, each in lists.items()
        }
        yield {"@type": part["@type"], **told}


def _endpoints_of(entry: Part) -> str:
    """Return the cluster whose endpoints an entry has; empty for all other entries."""
    return str(entry.get("endpoint_config", {}).get("cluster_name", ""))


def _entry(entry: Part, field: str) -> Part:
    if field != "active_state":
        return {field: entry[field]}
    return {field: {"listener": entry[field]["listener"]}, "name": entry.get("name", "")}


def _node(node: Part) -> Part:
    metadata = node.get("metadata") or {}
    annotations = {
        name: value
        for name, value in (metadata.get("ANNOTATIONS") or {}).items()
        if name.startswith(_INTERCEPTION)
    }
    own = {name: metadata[name] for name in _METADATA if name in metadata}
    return {"id": node["id"], "metadata": {**own, "ANNOTATIONS": annotations}}
