"""A stand-in for `istio.alpn`, the one filter of Istio's Envoy that traffic depends on.

On a port whose protocol Istio has to detect, the client's proxy tells the server's by ALPN
what it detected (`istio-http/1.1`, `istio-h2`); with a bare `istio` the server would take
HTTP for plain TCP. Istio's filter derives it from the cluster's upstream protocol. A stock
Envoy lacks the filter, so `set_filter_state` sets the same filter state, by the request's
own protocol, for exactly those clusters: on a declared port the upstream protocol is fixed,
and an ALPN that says another would break it (502). As Istio's, it leaves a cluster alone whose
rule has a TLS of its own: istiod marks those `alpn_override: "false"`.
"""

from __future__ import annotations

import json
import threading

from clusters.embedded.settings import CLUSTER_DOMAIN
from clusters.kube import ApiError, Kube, Obj
from lab.common.errors import ClusterGone
from lab.common.port_protocols import AUTO, of_port

NAME = "lab-alpn"
HTTP_1 = "'istio-http/1.1,istio,http/1.1'"
OFFERS = {
    "SIDECAR_OUTBOUND": f"request.protocol == 'HTTP/2' ? 'istio-h2,istio,h2' : {HTTP_1}",
    "GATEWAY": HTTP_1,
}
"""What is offered, by the kind of proxy. A sidecar speaks to a detected port as it was spoken to; a
gateway speaks HTTP/1.1: use_downstream_protocol is for sidecars only
(pilot/pkg/networking/core/cluster_builder.go of Istio)."""
OWN_TLS = "'alpn_override' in xds.cluster_metadata.filter_metadata['istio']"
APART = 0.2
"""Seconds between two changes of the filter: hundreds of Services may come at once."""


def detected(port: Obj) -> bool:
    """Tell whether Istio has to detect this Service port's protocol from its traffic."""
    return port.get("protocol", "TCP") == "TCP" and of_port(port) == AUTO


def conditions_of(service: Obj) -> list[str]:
    """Return a condition for each detected port of a Service: the outbound clusters of any subset.

    Not a pattern: Envoy refuses one of more than 100 RE2 instructions, and the listener with it.
    """
    meta = service["metadata"]
    host = f"{meta['name']}.{meta['namespace']}.svc.{CLUSTER_DOMAIN}"
    ports = service["spec"].get("ports", [])
    name = "xds.cluster_name"
    return [
        f"({name}.startsWith('outbound|{port['port']}|') && {name}.endsWith('|{host}'))"
        for port in ports
        if detected(port)
    ]


def envoy_filter(conditions: list[str], namespace: str) -> Obj:
    """Return the EnvoyFilter for these conditions, on sidecars' outbound listeners and gateways."""
    chosen = " || ".join(conditions)
    patches = [
        _patch(context, _filter(f"({chosen}) && !({OWN_TLS}) ? ({offers}) : ''"))
        for context, offers in OFFERS.items()
    ]
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"configPatches": patches},
    }


def _filter(expression: str) -> Obj:
    """Return the HTTP filter that offers what an expression gives; nothing: the cluster's own."""
    types = "type.googleapis.com/envoy.extensions"
    state = {
        "object_key": "envoy.network.application_protocols",
        "format_string": {"text_format_source": {"inline_string": f"%CEL({expression})%"}},
        "skip_if_empty": True,
        "shared_with_upstream": "ONCE",
    }
    return {
        "name": NAME,
        "typed_config": {
            "@type": f"{types}.filters.http.set_filter_state.v3.Config",
            "on_request_headers": [state],
        },
    }


def _patch(context: str, value: Obj) -> Obj:
    manager = {
        "name": "envoy.filters.network.http_connection_manager",
        "subFilter": {"name": "envoy.filters.http.router"},
    }
    return {
        "applyTo": "HTTP_FILTER",
        "match": {"context": context, "listener": {"filterChain": {"filter": manager}}},
        "patch": {"operation": "INSERT_BEFORE", "value": value},
    }


class AlpnStandIn:
    """Keeps the EnvoyFilter equal to the Services that there are."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self._known: dict[str, list[str]] = {}
        self._applied = ""
        self._changed = threading.Event()

    def start(self) -> None:
        """Watch Services in the background."""
        for target in (self._watch, self._keep_applied):
            threading.Thread(target=target, daemon=True, name="alpn").start()

    def _watch(self) -> None:
        path = "/api/v1/services"
        while True:
            try:
                listed = self._kube.request("GET", path)
                self._known = {s["metadata"]["uid"]: conditions_of(s) for s in listed["items"]}
                self._changed.set()
                query = {"resourceVersion": listed["metadata"]["resourceVersion"]}
                for kind, service in self._kube.watch(path, query):
                    if kind == "ERROR":
                        break
                    uid = service["metadata"]["uid"]
                    known = {} if kind == "DELETED" else {uid: conditions_of(service)}
                    others = {one: has for one, has in self._known.items() if one != uid}
                    self._known = {**others, **known}
                    self._changed.set()
            except (ApiError, ClusterGone) as problem:
                print(f"alpn: {problem}", flush=True)
                if threading.Event().wait(0.5):
                    return

    def _keep_applied(self) -> None:
        """Apply what is known whenever it has changed: at once, and then not again for a moment.

        Each time, istiod sends all proxies their listeners anew.
        """
        while True:
            self._changed.wait()
            self._changed.clear()
            try:
                self._apply()
            except (ApiError, ClusterGone) as problem:
                print(f"alpn: {problem}", flush=True)
                self._changed.set()
            threading.Event().wait(APART)

    def _apply(self) -> None:
        names = sorted({name for group in self._known.values() for name in group})
        wanted = envoy_filter(names, self._namespace)
        text = json.dumps(wanted)
        if text == self._applied:
            return
        if names:
            self._kube.apply([wanted])
        elif self._applied:
            self._kube.delete([wanted])
        self._applied = text
