"""The ports that can be called, and which clients each is walked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lab.common.port_protocols import AUTO, UDP

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


def sends(protocol: str) -> tuple[str, ...]:
    """Return what clients of a protocol write."""
    return _SENDS[protocol]


Kind = Literal["Service", "ServiceEntry", "probe", "other"]
"""`probe`: what a kubelet asks of a pod. `other`: a server that nothing in the mesh names."""


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
    told: str = ""
    """What it is called in words, where it has no host name."""

    @property
    def name(self) -> str:
        """Return it as a person types it, `httpbin.shop:8000`, or else in words."""
        return self.told or f"{self.host.removesuffix('.svc.cluster.local')}:{self.port}"
