"""Secrets of every sort, made anew for each test run, and what must be found of them nowhere."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lab.workloads.certificates import Authority

Private = serialization.PrivateFormat


@dataclass(frozen=True)
class Secret:
    """A secret as it would stand in a text, and parts of it that give it away."""

    text: str
    parts: tuple[str, ...]

    def found_in(self, text: str) -> list[str]:
        return [part for part in self.parts if part in text]


def pem(text: bytes | str) -> Secret:
    """A PEM block; each of its lines gives it away, but the last, which may be short."""
    shown = text if isinstance(text, str) else text.decode()
    lines = [line for line in shown.splitlines() if len(line) > 20 and "-----" not in line]
    return Secret(shown.strip(), tuple(lines))


def _key(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey,
         form: Private, hidden: bool = False) -> Secret:  # fmt: skip
    how: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if hidden:
        how = serialization.BestAvailableEncryption(b"passphrase")
    return pem(key.private_bytes(serialization.Encoding.PEM, form, how))


def _token() -> Secret:
    """Such as a service account has: three parts, of which the last two give it away."""
    about = {"alg": "RS256", "kid": secrets.token_hex(8)}
    says = {"sub": "system:serviceaccount:a:b", "jti": secrets.token_hex(16)}
    head, body = (
        base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=")
        for one in (about, says)
    )
    sign = secrets.token_urlsafe(64)
    return Secret(f"{head}.{body}.{sign}", (body, sign))


def _named(form: str) -> Secret:
    word = secrets.token_hex(16)
    return Secret(form.format(word), (word,))


def _encoded(secret: Secret) -> str:
    return base64.b64encode(secret.text.encode()).decode()


@cache
def planted() -> dict[str, Secret]:
    """One of each sort by its name."""
    curve, modern = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    long = rsa.generate_private_key(65537, 2048)
    _, certificate = Authority("planted").issue("planted", uri="spiffe://planted")
    keys = {
        "RSA key": _key(long, Private.TraditionalOpenSSL),
        "EC key": _key(curve, Private.TraditionalOpenSSL),
        "PKCS8 key": _key(long, Private.PKCS8),
        "OpenSSH key": _key(modern, Private.OpenSSH),
        "encrypted key": _key(curve, Private.PKCS8, hidden=True),
        "encrypted RSA key": _key(long, Private.TraditionalOpenSSL, hidden=True),
        "certificate": pem(certificate),
    }
    rsa_key, encoded = keys["RSA key"], _encoded(keys["EC key"])
    hidden = _encoded(keys["certificate"])
    kubeconfig = f"users:\n- name: a\n  user:\n    client-key-data: {encoded}\n"
    return keys | {
        "key of PGP": Secret(
            rsa_key.text.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"), rsa_key.parts
        ),
        "key cut off": Secret(rsa_key.text[:600], rsa_key.parts[:8]),
        "key in JSON": Secret(json.dumps({"k": keys["EC key"].text}), keys["EC key"].parts),
        "key in JSON in JSON": Secret(
            json.dumps(json.dumps({"k": keys["EC key"].text})), keys["EC key"].parts
        ),
        "key in a header": Secret(
            f'Cert="{quote(keys["PKCS8 key"].text)}"',
            tuple(quote(part) for part in keys["PKCS8 key"].parts),
        ),
        "key in base64": Secret(encoded, (encoded[40:90],)),
        "kubeconfig": Secret(kubeconfig, (encoded[40:90],)),
        "kubeconfig's token": _named("user:\n  token: {}\n"),
        "service account's token": _token(),
        "bearer": _named("Authorization: Bearer {}"),
        "basic": _named("authorization: Basic {}=="),
        "bearer of httpbin's": _named('"Authorization": "Bearer {}"'),
        "bearer in a list": _named('"authorization": ["Bearer {}"]'),
        "cookie": _named("Cookie: first=1; session={}"),
        "set cookie": _named("< set-cookie: session={}; HttpOnly"),
        "cookie of httpbin's": _named('"Cookie": "session={}"'),
        "inline_string": _named('"private_key": {{"inline_string": "{}"}}'),
        "inline_bytes": Secret(
            f'"certificate_chain": {{"inline_bytes": "{hidden}"}}', (hidden[40:90],)
        ),
        "password in a URL": _named("postgres://admin:{}@db.example.org/x"),
        "password": _named("password: {}"),
        "password in JSON": _named('{{"db_password": "{}"}}'),
        "environment": _named("AWS_SECRET_ACCESS_KEY={}"),
        "API key": _named("x-api-key: {}"),
        "token in a query": _named("GET /v1?access_token={}&x=1"),
    }
