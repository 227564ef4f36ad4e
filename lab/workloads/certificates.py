"""Issues certificates of a CA in memory, for services and strangers with TLS of their own."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_PAST = datetime.timedelta(minutes=5)  # clocks differ
_FUTURE = datetime.timedelta(days=1)


class Authority:
    """A CA whose key is never written down. Its name is its certificate's organisation."""

    def __init__(self, organisation: str = "another CA", *, rsa_bits: int = 0) -> None:
        """Make a CA. rsa_bits: of all its keys; 0: they are P-256."""
        from cryptography import x509

        self._rsa_bits = rsa_bits
        self._key = self._new_key()
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organisation)])
        usage = _usage(key_cert_sign=True, crl_sign=True)
        builder = self._builder(self._name, self._key).add_extension(usage, critical=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        self._certificate = self._sign(builder)

    @property
    def certificate_pem(self) -> bytes:
        """The CA's certificate (PEM), for whoever is to trust it."""
        return _pem(self._certificate)

    def issue(self, name: str, *, dns: Sequence[str] = (), uri: str = "") -> tuple[bytes, bytes]:
        """Return a key and a certificate (PEM) for a server or a client.

        name: the subject's common name; "" leaves the subject empty, as Istio's CA does.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID

        key = self._new_key()
        common = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if name else []
        builder = self._builder(x509.Name(common), key)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(_usage(digital_signature=True), critical=True)
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns]
        names += [x509.UniformResourceIdentifier(uri)] if uri else []
        if names:
            # RFC 5280, 4.2.1.6: critical where the subject is empty.
            builder = builder.add_extension(x509.SubjectAlternativeName(names), not common)
        form = serialization.PrivateFormat.PKCS8
        plain = serialization.NoEncryption()
        key_pem = key.private_bytes(serialization.Encoding.PEM, form, plain)
        return key_pem, _pem(self._sign(builder))

    def _builder(self, subject: x509.Name, key: Key) -> x509.CertificateBuilder:
        """Return a builder with what every certificate has: names, dates, key identifiers."""
        from cryptography import x509

        now = datetime.datetime.now(datetime.UTC)
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuers = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _PAST)
            .not_valid_after(now + _FUTURE)
            .add_extension(own, critical=False)
            .add_extension(issuers, critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        from cryptography.hazmat.primitives import hashes

        return builder.sign(self._key, hashes.SHA256())

    def _new_key(self) -> Key:
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        if self._rsa_bits:
            return rsa.generate_private_key(public_exponent=65537, key_size=self._rsa_bits)
        return ec.generate_private_key(ec.SECP256R1())


def _usage(**wanted: bool) -> x509.KeyUsage:
    from cryptography import x509

    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in every})


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)
