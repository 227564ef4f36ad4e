"""A proxy that refused what it was last sent."""

from __future__ import annotations

from collections.abc import Iterator

from lab.audit import seen
from lab.audit.rule import Audited, Found, MeshRule


def _found(there: Audited) -> Iterator[Found]:
    for pod in there.proxied:
        assert pod.proxy is not None
        for name, why in sorted(pod.proxy.rejected.items()):
            yield Found(seen.workload(pod.name), (f"{name}: {why}", f"pod {pod.name}"))


RULE = MeshRule(
    "rejected-configuration",
    "high",
    "has a sidecar that refused what istiod sent it, and goes on with what it had",
    "A policy or a route that came since does not hold there. What istiod shows is not what the "
    "proxy does.",
    "Remove or correct the EnvoyFilter, or what else the proxy's words name.",
    ("test tests/lab/audit/test_audit_live.py",),
    _found,
)
