"""A proxy's configuration, as `config_dump?include_eds` gives it, indexed by what a call looks up.

`istioctl proxy-config all -o json` prints the same. Only what is active counts: a listener that
still warms up carries nothing.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.common.errors import BadEvidence
from lab.envoy.routes import VirtualHosts

Part = Mapping[str, Any]
MISSHAPEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, re.error)
"""What comes of a dump whose parts are not of the types that Envoy gives them."""


@dataclass(frozen=True)
class Proxy:
    """What one proxy does with connections and requests."""

    listeners: Mapping[tuple[str, int], Part]
    """By address and port; those of the bootstrap too."""
    routes: Mapping[str, Part]
    clusters: Mapping[str, Part]
    endpoints: Mapping[str, Part]
    """A cluster's load assignment, by the name that its discovery asks for."""
    rejected: Mapping[str, str] = field(default_factory=dict)
    """What the proxy refused of what it was last sent, and why."""
    certificates: Mapping[str, bytes] = field(default_factory=dict)
    """In PEM, by the name of the secret: chains that it shows, and authorities that it trusts."""
    updated: str = ""
    """When it was last sent anything: the dump is not older (RFC 3339)."""

    _found: dict[str, VirtualHosts] = field(default_factory=dict, compare=False, repr=False)

    def virtual_hosts(self, name: str) -> VirtualHosts:
        """Return those of a route configuration, which are looked through once."""
        if name not in self._found:
            self._found[name] = VirtualHosts(self.routes[name])
        return self._found[name]

    @property
    def outbound(self) -> Part | None:
        """Return the listener that intercepted connections come to: of the bootstrap's port."""
        return next((one for one in self.listeners.values() if hands_off(one)), None)


def serving(proxy: Proxy) -> Proxy:
    """Return what of a proxy's configuration carries connections that come to its own pod.

    That is a small part of it: the most is what its applications could call.
    """
    listeners = {
        address: one
        for address, one in proxy.listeners.items()
        if one.get("traffic_direction") != "OUTBOUND"
    }
    kept = {name: one for name, one in proxy.clusters.items() if not name.startswith("outbound|")}
    return replace(proxy, listeners=listeners, clusters=kept, routes={}, endpoints={}, _found={})


@contextlib.contextmanager
def refusing_other_shapes() -> Iterator[None]:
    """Raise BadEvidence, in a sentence, for a dump that does not have Envoy's fields."""
    try:
        yield
    except MISSHAPEN as wrong:
        raise BadEvidence(f"a config dump is not such as Envoy's: {wrong!r}") from None


@refusing_other_shapes()
def read(dump: Any) -> Proxy:
    """Index a config dump. Raises BadEvidence for what is none of Envoy's."""
    found = [
        *(one["active_state"]["listener"] for one in _all(dump, "dynamic_listeners")
          if one.get("active_state")),
        *(one["listener"] for one in _all(dump, "static_listeners")),
    ]  # fmt: skip
    clusters = [one["cluster"] for key in ("static_clusters", "dynamic_active_clusters")
                for one in _all(dump, key)]  # fmt: skip
    routes = [one["route_config"] for key in ("static_route_configs", "dynamic_route_configs")
              for one in _all(dump, key)]  # fmt: skip
    assignments = [one["endpoint_config"] for key in ("static_endpoint_configs",
                   "dynamic_endpoint_configs") for one in _all(dump, key)]  # fmt: skip
    if not found:
        raise ValueError("no listener is in it")
    return Proxy(
        {address_of(one["address"]): one for one in reversed(found)},
        {one["name"]: one for one in routes if "name" in one},
        {one["name"]: one for one in clusters},
        {one["cluster_name"]: one for one in assignments if one.get("cluster_name")},
        dict(_rejected(dump)),
        dict(_certificates(dump)),
        max(
            (str(one["last_updated"]) for one in _entries(dump) if one.get("last_updated")),
            default="",
        ),
    )


def _entries(dump: Part) -> Iterator[Part]:
    """Yield what has a version and a time: each listener, cluster, route, endpoint and secret."""
    for part in dump["configs"]:
        for name, each in part.items():
            if name.startswith("dynamic_"):
                yield from each
                yield from (one["active_state"] for one in each if one.get("active_state"))


def _rejected(dump: Part) -> Iterator[tuple[str, str]]:
    """Yield what Envoy refused, and its words.

    https://www.envoyproxy.io/docs/envoy/latest/api-v3/admin/v3/config_dump_shared.proto
    """
    for one in _entries(dump):
        if error := one.get("error_state"):
            failed = error.get("failed_configuration") or {}
            kind = type_of(failed).rpartition(".")[2].lower() or "resource"
            name = one.get("name") or failed.get("name") or failed.get("cluster_name") or "?"
            yield f"{kind} {name}", str(error.get("details", ""))


def _certificates(dump: Part) -> Iterator[tuple[str, bytes]]:
    """Yield the public certificates of a dump's secrets; keys are not read."""
    for one in (*_all(dump, "static_secrets"), *_all(dump, "dynamic_active_secrets")):
        secret = one.get("secret") or {}
        shown = (secret.get("tls_certificate") or {}).get("certificate_chain") or {}
        trusted = (secret.get("validation_context") or {}).get("trusted_ca") or {}
        if data := shown.get("inline_bytes") or trusted.get("inline_bytes"):
            yield str(one["name"]), base64.b64decode(data)


def _all(dump: Part, key: str) -> Iterator[Part]:
    for part in dump["configs"]:
        yield from part.get(key) or ()


def address_of(address: Part) -> tuple[str, int]:
    """Return address and port of Envoy's `address`; of a pipe, its path and 0."""
    if "socket_address" not in address:
        return str(address.get("pipe", {}).get("path", "")), 0
    socket = address["socket_address"]
    return str(socket["address"]), int(socket.get("port_value") or 0)


def type_of(config: Part) -> str:
    """Return the type of a typed config; Istio's own filters come as a struct that names it."""
    return str(config.get("type_url") or config.get("@type", "")).rpartition("/")[2]


def hands_off(listener: Part) -> bool:
    """Return whether a listener hands connections to the listener of where they were going."""
    return bool(listener.get("use_original_dst"))
