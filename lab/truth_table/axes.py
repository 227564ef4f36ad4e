"""The axes of the truth table: what is varied, and with which values.

Each axis is a mapping from the value's name, which cells and files use, to what it stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Payload:
    """What a client sends."""

    about: str
    sends: str
    """Its name among the first bytes that the model knows (lab/envoy/sends.py)."""
    server_first: bool = False
    """The server writes before it has read anything, and the client waits for it."""
    database: str = ""
    """The program that serves it (clusters/stacks/databases), where a database's driver asks."""
    pooled: bool = False
    """The driver opens its connections itself, several of them, from ports of the kernel's."""
    begins_tls: bool = False
    """After first words in plaintext, the client begins TLS on the same connection."""
    udp: bool = False
    flaky: bool = False
    """The same connection is not always treated alike, by a proxy as it is."""


PAYLOADS: Mapping[str, Payload] = {
    "http1.0": Payload("a request in HTTP/1.0", "http1.0"),
    "http1.1": Payload("a request in HTTP/1.1", "http1.1"),
    "websocket": Payload("a request to upgrade to WebSocket", "websocket"),
    "upgrade-h2c": Payload("a request to upgrade to HTTP/2, as curl --http2 does", "upgrade-h2c"),
    "upgrade-tls": Payload("a request to upgrade to TLS, as Apache HttpClient does", "upgrade-tls"),
    "h2": Payload("a request in HTTP/2 with prior knowledge", "h2"),
    "grpc": Payload("a unary gRPC call", "grpc"),
    "tls": Payload("a request inside TLS of the application's own", "tls"),
    "line": Payload("a line that is not HTTP", "line"),
    "three-bytes": Payload("three bytes, then the client waits", "three-bytes"),
    # Envoy's HTTP inspector lets half a request line through as no HTTP now and then.
    "half-line": Payload(
        "the beginning of a request line, then the client waits", "half-line", flaky=True
    ),
    "split-line": Payload("a line that is not HTTP, in two segments", "line"),
    "server-first": Payload(
        "nothing, as the client waits for the server's greeting", "nothing", server_first=True
    ),
    "mongo": Payload("a query by PyMongo", "mongo", database="mongodb", pooled=True),
    "mysql": Payload("a query by PyMySQL", "mysql", True, database="mysql"),
    "mysql-tls": Payload(
        "a query by PyMySQL, inside TLS", "mysql-tls", True, database="mysql", begins_tls=True
    ),
    "redis": Payload("a command by redis-py", "redis", database="redis"),
    "udp": Payload("a UDP datagram", "datagram", udp=True),
}


@dataclass(frozen=True)
class PortName:
    """What a Service's port is called: all that Istio is told of its protocol."""

    name: str
    """The Service port's: at most 15 characters."""
    app_protocol: str = ""


PORT_NAMES: Mapping[str, PortName] = {
    **{
        name: PortName(name)
        for name in ("grpc", "http", "http2", "https", "mongo", "mysql", "redis", "tcp", "tls")
    },
    "udp": PortName("udp"),
    "grpc-web": PortName("grpc-web"),
    "unknown": PortName("billing"),
    "none": PortName(""),
    "http+http": PortName("http", "http"),
    "http+tcp": PortName("http", "tcp"),
    "http+unknown": PortName("http", "example.com/billing"),
}
"""`http+tcp`: a port named `http` with `appProtocol: tcp`."""

Mode = Literal["STRICT", "PERMISSIVE", "DISABLE"]
POLICIES: Mapping[str, Mode] = {
    "strict": "STRICT",
    "permissive": "PERMISSIVE",
    "disable": "DISABLE",
}
"""Of the server's namespace."""
UNSET = "unset"
"""A policy of cells too: none in the namespace, nor in the mesh, which is PERMISSIVE then.
https://istio.io/latest/docs/reference/config/security/peer_authentication/"""
MODES: Mapping[str, Mode] = {**POLICIES, UNSET: "PERMISSIVE"}
"""What the server's proxy does. Each policy has a namespace of its own."""

CALLERS: Mapping[str, str] = {"sidecar": "client", "none": "stranger"}
"""Whether the caller has a sidecar -> the workload that calls."""

ADDRESSES: Mapping[str, str] = {
    "clusterip": "the ClusterIP of a Service",
    "headless": "the address that a headless Service's name is resolved to",
    "pod": "a pod's own address, and the target port of a Service with a ClusterIP",
    "unregistered": "a pod's own address, and a port that no Service names",
}

OWN_CA = "/etc/own-tls/ca.pem"
"""Where the caller's sidecar has the certificate of the servers' own CA."""

RULES: Mapping[str, Mapping[str, object] | None] = {
    "none": None,
    "disable": {"mode": "DISABLE"},
    "istio-mutual": {"mode": "ISTIO_MUTUAL"},
    "simple-system": {"mode": "SIMPLE"},
    "simple-own-ca": {"mode": "SIMPLE", "caCertificates": OWN_CA},
    "simple-unverified": {"mode": "SIMPLE", "insecureSkipVerify": True},
}
"""`trafficPolicy.tls` of a DestinationRule for the Service; None: there is no rule.

SIMPLE without authorities trusts those of the proxy's own system."""

PORT_POLICIES: Mapping[str, Mode | None] = {"none": None, **POLICIES}
"""A mode for the workload's port alone, beside the workload's own."""

FOREIGN_AUTHORITIES = frozenset((f"file-root:{OWN_CA}", "file-root:system"))
"""As proxies name them: neither vouches for the mesh's own certificates."""

CLIENT_AUTHORITIES = frozenset((f"file-root:{OWN_CA}",))
"""As gateways name them: they vouch for the certificate that the caller outside the mesh shows."""

SERVERS: Mapping[str, str] = {
    "sidecar": "the server has a sidecar",
    "plain": "the server has none",
    "excluded": "the server has a sidecar, from which this port is excluded",
}

NUMBERS: Mapping[str, int | None] = {
    "ordinary": None,
    "25": 25,
    "53": 53,
    "3306": 3306,
    "27017": 27017,
}
"""The Service's port; four numbers mean a protocol to Istio where the name means none."""

OUTBOUND: Mapping[str, str] = {"allow-any": "ALLOW_ANY", "registry-only": "REGISTRY_ONLY"}
"""What the caller's sidecar does with addresses that it does not know."""


@dataclass(frozen=True)
class GatewayServer:
    """A server of a Gateway, and how a client outside the mesh comes to it."""

    protocol: Literal["HTTP", "HTTPS", "TCP", "TLS"]
    mode: Literal["", "SIMPLE", "MUTUAL", "PASSTHROUGH", "ISTIO_MUTUAL"] = ""
    within: Literal["", "tls", "mutual-tls"] = ""
    """TLS of the client's own around what it sends: none, without or with a certificate."""

    @property
    def reads_requests(self) -> bool:
        """Return whether it reads HTTP; else it hands bytes on."""
        return self.protocol in ("HTTP", "HTTPS")


GATEWAYS: Mapping[str, GatewayServer | None] = {
    "none": None,
    "http": GatewayServer("HTTP"),
    "tcp": GatewayServer("TCP"),
    "simple-http": GatewayServer("HTTPS", "SIMPLE", "tls"),
    "simple-tcp": GatewayServer("TLS", "SIMPLE", "tls"),
    "simple-no-tls": GatewayServer("HTTPS", "SIMPLE"),
    "mutual": GatewayServer("HTTPS", "MUTUAL", "mutual-tls"),
    "mutual-no-certificate": GatewayServer("HTTPS", "MUTUAL", "tls"),
    "passthrough": GatewayServer("TLS", "PASSTHROUGH"),
    "istio-mutual": GatewayServer("TLS", "ISTIO_MUTUAL", "mutual-tls"),
}
"""What is in front of the server. A caller with a sidecar sends what it sends as it is, and a rule
with ISTIO_MUTUAL lets its sidecar put the mesh's TLS around it."""
