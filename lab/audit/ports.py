"""What a port is declared to speak, and which clients it is walked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

AUTO = ""
"""Istio looks at the first bytes."""
UDP = "udp"
_KNOWN = (
    "grpc-web",
    "grpc",
    "http2",
    "http",
    "https",
    "mongo",
    "mysql",
    "redis",
    "tcp",
    "tls",
    UDP,
)
_SENDS: Mapping[str, tuple[str, ...]] = {
    "http": ("http1.1",),
    "http2": ("h2",),
    "grpc": ("grpc",),
    "grpc-web": ("http1.1",),
    "https": ("tls",),
    "tls": ("tls",),
    "tcp": ("line", "nothing"),
    "mongo": ("mongo",),
    "mysql": ("mysql",),
    "redis": ("redis",),
    UDP: ("line",),
    AUTO: ("http1.1", "line", "nothing", "tls"),
}
"""Protocol -> what clients of it write, by the names of lab/envoy/sends.py. A TCP port that Istio
takes for UDP is called by clients of TCP all the same. `nothing`: the server speaks first."""


def declared(name: str, app_protocol: str = "") -> str:
    """Return the protocol that Istio reads from a port: its appProtocol, else its name's prefix.

    https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/
    """
    told = app_protocol.lower().removeprefix("kubernetes.io/")
    if told in _ALIASES:
        told = _ALIASES[told]
    if told in _KNOWN:
        return told
    return next((one for one in _KNOWN if name == one or name.startswith(f"{one}-")), AUTO)


_ALIASES = {"h2c": "http2", "ws": "http", "wss": "https"}


def sends(protocol: str) -> tuple[str, ...]:
    """Return what clients of a protocol write."""
    return _SENDS[protocol]


Kind = Literal["Service", "ServiceEntry", "other"]
"""`other`: a server that nothing in the mesh names."""


@dataclass(frozen=True)
class Destination:
    """A port that can be called."""

    host: str
    """`httpbin.shop.svc.cluster.local`."""
    port: int
    protocol: str
    addresses: tuple[str, ...]
    """Its ClusterIP, or the pods' own where it is headless."""
    port_name: str = ""
    ends: frozenset[str] = frozenset()
    """Addresses of the pods behind it; empty: not known."""
    kind: Kind = "Service"
    exported_to: frozenset[str] = frozenset()
    """Namespaces whose sidecars are told of it; empty: all."""
    spoken: tuple[str, ...] = ()
    """What its clients send, where that is known; empty: what its protocol suggests."""

    @property
    def name(self) -> str:
        """Return it as a person types it: `httpbin.shop:8000`."""
        return f"{self.host.removesuffix('.svc.cluster.local')}:{self.port}"
