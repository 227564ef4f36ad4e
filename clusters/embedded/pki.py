"""Keys and certificates of one cluster's life: made at start, kept in its own tmpfs."""

from __future__ import annotations

import datetime
import ipaddress
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clusters.embedded import settings

MASTERS = "system:masters"
"""The group that the API server allows everything, without a rule."""


@dataclass(frozen=True)
class Pki:
    """Paths of what the control plane is started with, and the administrator's token."""

    folder: Path
    admin_token: str

    def path(self, name: str) -> str:
        """Return the path of a file such as `apiserver.crt`, as a flag takes it."""
        return str(self.folder / name)


def create(folder: Path) -> Pki:
    """Make a CA, what it signs, the service-account key and the token file."""
    folder.mkdir(mode=0o700, parents=True)
    ca_key = _key(folder / "ca.key")
    ca = _certificate("lab-ca", ca_key, None, ca_key)
    _write(folder / "ca.crt", ca.public_bytes(serialization.Encoding.PEM))
    for name, hosts in {
        "apiserver": [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{settings.CLUSTER_DOMAIN}",
            "localhost",
            "127.0.0.1",
            settings.NODE_IP,
            settings.API_SERVICE_IP,
        ],
        "kubelet": [settings.NODE_NAME, "localhost"],
        "apiserver-kubelet-client": [],
    }.items():
        key = _key(folder / f"{name}.key")
        group = MASTERS if name == "apiserver-kubelet-client" else ""
        signed = _certificate(name, key, ca, ca_key, hosts, group)
        _write(folder / f"{name}.crt", signed.public_bytes(serialization.Encoding.PEM))
    _key(folder / "sa.key")
    token = secrets.token_urlsafe(32)
    _write(folder / "tokens.csv", f'{token},lab-admin,lab-admin,"{MASTERS}"\n'.encode())
    return Pki(folder, token)


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    _write(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ),
    )
    return key


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate | None,
    ca_key: ec.EllipticCurvePrivateKey,
    hosts: list[str] | None = None,
    group: str = "",
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    subject = x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
    )
    if ca is not None:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(ca_key, hashes.SHA256())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
