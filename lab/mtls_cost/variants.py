"""The variants of one edge whose cost is compared, and the loads that are sent over each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """How a request goes from one application to the other. Its name is its Service's too."""

    name: str
    says: str
    sidecars: bool = True
    mutual: bool = False
    """Whether the sidecars speak mTLS to each other."""
    own_tls: bool = False
    """Whether the applications speak TLS to each other."""


@dataclass(frozen=True)
class Load:
    """A kind of request, and what it costs: the whole request, or the connection for it."""

    name: str
    says: str
    offset: int
    """Of its port among those of a variant."""
    port_name: str
    own_tls_name: str
    """Of the port where the application speaks TLS; empty: fortio has no TLS for it."""


VARIANTS = (
    Variant("no-sidecar", "no sidecar at all", sidecars=False),
    Variant("plaintext", "plaintext through two sidecars"),
    Variant("mtls", "mTLS between two sidecars", mutual=True),
    Variant("own-tls", "the applications' TLS through two sidecars", own_tls=True),
    Variant("own-tls-in-mtls", "the applications' TLS inside mTLS", mutual=True, own_tls=True),
)
BASE = "plaintext"
"""What the others are compared with: the same two sidecars, which do not encrypt."""
CONNECTIONS = Load("connections", "a TCP connection for each request", 3, "tcp", "tls")
LOADS = (
    Load("http", "HTTP/1.1", 0, "http", "https"),
    Load("grpc", "gRPC", 1, "grpc", "tls"),
    Load("tcp", "TCP", 2, "tcp", ""),
    CONNECTIONS,
)


@dataclass(frozen=True)
class Measured:
    """One load over one variant."""

    load: Load
    variant: Variant

    @property
    def key(self) -> str:
        return f"{self.load.name}/{self.variant.name}"

    @property
    def port(self) -> int:
        """Return the port of its Service, at which the server listens too."""
        return first_port(self.variant) + self.load.offset


def first_port(variant: Variant) -> int:
    """Return the first of a variant's ports; no two Services share one."""
    return 8100 + 10 * VARIANTS.index(variant)


def measured() -> tuple[Measured, ...]:
    """Return every load over every variant that it can be sent over."""
    return tuple(
        Measured(load, variant)
        for load in LOADS
        for variant in VARIANTS
        if load.own_tls_name or not variant.own_tls
    )


def of(key: str) -> Measured:
    """Return what has this key. Raises KeyError."""
    return {one.key: one for one in measured()}[key]
