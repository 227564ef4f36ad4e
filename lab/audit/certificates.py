"""Certificates that proxies hold: until when they are valid, and who takes them; never keys."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from lab.common.errors import BadEvidence
from lab.envoy.dump import Proxy
from lab.envoy.upstream import AUTHORITY, WORKLOAD

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def shown(proxy: Proxy) -> tuple[Certificate, ...]:
    """Return the chain that a workload shows, its own first; empty: the dump does not have it."""
    return _read(proxy, WORKLOAD)


def trusted(proxy: Proxy) -> tuple[Certificate, ...]:
    """Return the mesh's authorities, as a proxy was given them; empty: the dump has none."""
    return _read(proxy, AUTHORITY)


def _read(proxy: Proxy, name: str) -> tuple[Certificate, ...]:
    try:
        return _parsed(proxy.certificates.get(name, b""))
    except ValueError:
        raise BadEvidence(f"secret {name} of a config dump holds no certificate in PEM") from None


@lru_cache(maxsize=4096)
def _parsed(data: bytes) -> tuple[Certificate, ...]:
    from cryptography import x509

    return tuple(x509.load_pem_x509_certificates(data)) if data else ()


def expired(proxy: Proxy, now: datetime.datetime) -> Iterator[str]:
    """Yield what has expired: the workload's certificate, or all of the mesh's authorities."""
    own, roots = shown(proxy)[:1], trusted(proxy)
    for what, every in (("secret default", own), ("secret ROOTCA", roots)):
        ends = [one.not_valid_after_utc for one in every]
        if ends and max(ends) < now:
            yield f"{what}, valid until {max(ends):%Y-%m-%dT%H:%M:%SZ}"


@lru_cache(maxsize=4096)
def leads_to(chain: tuple[Certificate, ...], roots: tuple[Certificate, ...]) -> bool:
    """Return whether a chain ends at one of these authorities, by its signatures."""
    return any(one in roots or any(_issued(one, root) for root in roots) for one in chain)


def _issued(one: Certificate, by: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        one.verify_directly_issued_by(by)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
