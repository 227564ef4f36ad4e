"""Checks what a world holds: identities and Secrets."""

from __future__ import annotations

from lab.judge.case import Case
from lab.model.failure import Check, CheckResult


def identities(world: str, *workloads: str) -> Check:
    """Check that each proxy holds a certificate for its own SPIFFE identity, of one issuer."""

    def check(case: Case) -> CheckResult:
        record = case.world(world)
        if record is None:
            return CheckResult(None, f"world {world} has no record")
        found, issuers = [], set()
        for name in workloads:
            certificate = record.pods[name].certificate
            wanted = f"spiffe://cluster.local/ns/{record.namespace}/sa/{name}"
            found.append(certificate.get("spiffe") == wanted)
            issuers.add(certificate.get("issuer", ""))
        good = all(found) and len(issuers) == 1 and "" not in issuers
        told = ", ".join(record.pods[name].certificate.get("spiffe", "none") for name in workloads)
        return CheckResult(good, f"{told}, issued by {' and '.join(sorted(issuers)) or 'nobody'}")

    return check


def no_certificate_secrets(world: str) -> Check:
    """Check that the namespace holds no Secret, and so no certificate kept by hand."""

    def check(case: Case) -> CheckResult:
        record = case.world(world)
        if record is None:
            return CheckResult(None, f"world {world} has no record")
        return CheckResult(not record.secrets, f"Secrets in the namespace: {list(record.secrets)}")

    return check
