"""What crosses between the two pods of a variant: captured before anything is measured."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clusters.base import Cluster, PodRef
from lab.common.errors import LabError
from lab.mtls_cost.measurement import Crossed
from lab.mtls_cost.variants import Measured
from lab.packets import pcap, tls
from lab.packets.pcap import Connection
from lab.record import envoy_admin

MESH_ALPN = "istio"
"""Of what a sidecar's hello offers to another sidecar."""


@contextmanager
def captured(cluster: Cluster, pod: PodRef, port: int, path: Path) -> Iterator[None]:
    """Capture a server's port at its pod's interface while the `with` block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    capture = cluster.capture(pod, "eth0", f"tcp port {port}", path)
    try:
        yield
    finally:
        capture.stop()


def read(path: Path) -> Crossed:
    """Return what crossed, by a capture. Raises LabError where connections are not alike."""
    return of(pcap.connections(pcap.read(path)))


def of(connections: list[Connection]) -> Crossed:
    """Return what crossed on connections that are all alike. Raises LabError where they are not."""
    found = {_of_one(one) for one in connections if one.sent("client")}
    if len(found) != 1:
        raise LabError(f"the connections of one variant are not alike: {sorted(map(str, found))}")
    return found.pop()


def _of_one(connection: Connection) -> Crossed:
    client, server = (tls.records(connection.sent(side)) for side in ("client", "server"))
    if not (client.whole and server.whole):
        return Crossed("plaintext")
    hello = next(tls.handshakes(client), None)
    read = tls.client_hello(hello[1]) if hello else None
    return Crossed("tls", read.alpn if read else ())


def expected(one: Measured, seen: Crossed) -> Crossed:
    """Return what was seen. Raises LabError where it is not what the variant is called."""
    encrypted = one.variant.mutual or one.variant.own_tls
    by_sidecars = any(name.startswith(MESH_ALPN) for name in seen.alpn)
    if (seen.security == "tls", by_sidecars) != (encrypted, one.variant.mutual):
        raise LabError(
            f"{one.key} is to be {one.variant.says}, and what crossed is {seen.security}"
            f" with ALPN {', '.join(seen.alpn) or 'none'}"
        )
    return seen


def keys(cluster: Cluster, pod: PodRef) -> str:
    """Return the kind of key that a sidecar's certificate has: `RSA 2048`, `EC 256`."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = x509.load_pem_x509_certificate(_chain(envoy_admin.config_dump(cluster, pod))).public_key()
    size = getattr(key, "key_size", "")
    return f"{'RSA' if isinstance(key, rsa.RSAPublicKey) else 'EC'} {size}"


def _chain(dump: dict[str, Any]) -> bytes:
    """Return the workload's own certificate (PEM) out of a proxy's configuration."""
    for part in dump["configs"]:
        for secret in part.get("dynamic_active_secrets", []):
            own = secret["secret"].get("tls_certificate")
            if own:
                return base64.b64decode(own["certificate_chain"]["inline_bytes"])
    raise LabError("the sidecar's configuration has no certificate")
