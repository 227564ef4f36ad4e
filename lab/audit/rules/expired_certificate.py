"""A workload whose certificate, or whose authorities, have expired."""

from __future__ import annotations

from collections.abc import Iterator

from lab.audit import certificates, seen
from lab.audit.rule import Audited, Found, MeshRule


def _found(there: Audited) -> Iterator[Found]:
    for pod in there.proxied:
        assert pod.proxy is not None
        if now := there.time_of(pod.proxy):
            for what in certificates.expired(pod.proxy, now):
                yield Found(seen.workload(pod.name), (f"pod {pod.name}, {what}",))


RULE = MeshRule(
    "expired-certificate",
    "high",
    "holds a certificate of the mesh that has expired: mTLS with it is refused",
    "Its sidecar could not renew it. Calls fail in both directions where mTLS is used.",
    "See why the sidecar does not reach istiod (istioctl proxy-status), then restart the pod.",
    ("test tests/lab/audit/test_audit_live.py",),
    _found,
)
