"""What Istio takes a Service's port to speak: its appProtocol, else its name, else its number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AUTO = ""
"""Istio looks at the first bytes."""
UDP = "udp"
KNOWN = ("grpc", "http", "http2", "https", "mongo", "mysql", "redis", "tcp", "tls", UDP)
"""Protocols that a name begins with, up to its first hyphen."""
HTTP = frozenset({"http", "http2", "grpc", "grpc-web"})
"""Those of which Istio reads requests."""
_GRPC_WEB = "grpc-web"
"""It has a hyphen itself: a name that only begins with it is one."""
_ALIASES: Mapping[str, str] = {
    "kubernetes.io/h2c": "http2",
    "kubernetes.io/ws": "http",
    "kubernetes.io/wss": "https",
}
_WELL_KNOWN = frozenset({25, 53, 3306, 27017})
"""Service ports that are TCP where nothing else is declared."""


def declared(name: str, app_protocol: str = "", number: int = 0) -> str:
    """Return the protocol that a TCP port is declared to have; AUTO: none.

    An appProtocol that Istio does not know counts as well: the name is not looked at then.
    https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/, and
    ConvertProtocol in pkg/config/kube/conversion.go of Istio 1.31.
    """
    if app_protocol in _ALIASES:
        return _ALIASES[app_protocol]
    told = (app_protocol or name).lower()
    if told.startswith(_GRPC_WEB):
        return _GRPC_WEB
    prefix = told.partition("-")[0]
    if prefix == "http_proxy":
        return "http"
    if prefix in KNOWN:
        return prefix
    return "tcp" if number in _WELL_KNOWN else AUTO


def of_port(port: Mapping[str, Any]) -> str:
    """Return the same of a port as a Service has it in its specification."""
    name, app_protocol = port.get("name") or "", port.get("appProtocol") or ""
    return declared(str(name), str(app_protocol), int(port["port"]))
