"""Who is in a mesh, as far as a call's way hangs on it: pods, their proxies, and Services."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lab.envoy.dump import Proxy
from lab.envoy.interception import Interception

Address = tuple[str, int]


def address_text(address: Address) -> str:
    """Return an address and its port as they are written."""
    return "{}:{}".format(*address)


@dataclass(frozen=True)
class Workload:
    """One pod."""

    name: str
    """namespace/pod"""
    address: str
    identity: str = ""
    """The SPIFFE ID of its service account."""
    read_proxy: Callable[[], Proxy] | None = None
    """Reads its proxy's configuration, when a call comes past it; None: it has no proxy."""
    interception: Interception | None = None
    """None: its connections do not pass a sidecar. A gateway has a proxy and no interception."""
    has_sidecar: bool = False
    uid: int = 0
    """Of its processes; the proxy's own is not intercepted."""

    @property
    def is_gateway(self) -> bool:
        """Return whether its proxy is all that it runs."""
        return self.read_proxy is not None and not self.has_sidecar

    @cached_property
    def proxy(self) -> Proxy | None:
        return self.read_proxy() if self.read_proxy else None


@dataclass(frozen=True)
class Mesh:
    """All that a walk looks up outside the proxies."""

    workloads: Mapping[str, Workload] = field(default_factory=dict)
    """By their address."""
    services: Mapping[Address, Sequence[Address]] = field(default_factory=dict)
    """What kube-proxy makes of a ClusterIP and a port: its ready endpoints."""

    foreign_authorities: frozenset[str] = frozenset()
    """Names of authorities, as clusters name them, that do not vouch for the mesh's certificates.

    What is in their files, no configuration tells."""
    client_authorities: frozenset[str] = frozenset()
    """Names of authorities, as listeners name them, that vouch for what clients outside show."""

    def endpoints(self, address: Address) -> Sequence[Address] | None:
        """Return where the node sends a connection; None: the address is no Service's."""
        return self.services.get(address)
