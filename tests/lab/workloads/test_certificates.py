"""The lab's own CA, judged by OpenSSL and by the library that reads certificates."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from lab.record.calls import foreign_certificate
from lab.workloads.certificates import Authority


@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_accepts_a_certificate_in_its_strict_mode(tmp_path: Path, purpose: str) -> None:
    authority = Authority("a CA")
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    for name, dns in (("own.test", ["own.test"]), ("", ["own.test", "other.test"])):
        (tmp_path / "one.pem").write_bytes(authority.issue(name, dns=dns)[1])
        argv = ["openssl", "verify", "-x509_strict", "-purpose", purpose]
        argv += ["-verify_hostname", "own.test", "-CAfile", "ca.pem", "one.pem"]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout == "one.pem: OK\n", done.stderr


def test_a_certificate_holds_from_five_minutes_ago_for_a_day() -> None:
    made = x509.load_pem_x509_certificate(Authority().issue("a client")[1])
    now = datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(minutes=4) < now - made.not_valid_before_utc
    assert datetime.timedelta(hours=23) < made.not_valid_after_utc - now


def test_a_strangers_certificate_has_a_members_name_and_an_issuer_that_nobody_knows() -> None:
    pem = foreign_certificate("mesh")
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    made = x509.load_pem_x509_certificate(pem)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    assert uris == ["spiffe://cluster.local/ns/mesh/sa/client"]
    assert made.subject.rfc4514_string() == ""
    assert made.issuer.rfc4514_string() == "O=another CA"
    assert foreign_certificate("mesh") != pem
