"""A PeerAuthentication takes mTLS away from servers.

https://istio.io/latest/docs/reference/config/security/peer_authentication/
"""

from __future__ import annotations

from collections.abc import Iterator

from clusters.kube import Obj
from lab.audit import objects
from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule
from lab.envoy import interception

_DISABLE = "DISABLE"


def _found(there: Objects) -> Iterator[Found]:
    meshed = [pod for pod in there.pods if interception.has_sidecar(pod)]
    for policy in there.peer_authentications:
        fields = [*_disabling(policy)]
        if fields and _is_oldest(policy, there) and any(objects.selected(policy, meshed)):
            name = objects.named(policy)
            yield Found(name, tuple(f"{name}, {field}" for field in fields))


def _disabling(policy: Obj) -> Iterator[str]:
    """Yield the fields that set DISABLE. Modes of ports hold only where workloads are selected."""
    spec = objects.spec(policy)
    if (spec.get("mtls") or {}).get("mode") == _DISABLE:
        yield "spec.mtls.mode"
    ports = (spec.get("portLevelMtls") or {}) if objects.selector(policy) else {}
    for number, one in ports.items():
        if (one or {}).get("mode") == _DISABLE:
            yield f"spec.portLevelMtls.{number}.mode"


def _is_oldest(policy: Obj, there: Objects) -> bool:
    """Return whether a policy counts: of those with its scope, the oldest alone does."""
    same = (
        one
        for one in there.peer_authentications
        if one["metadata"]["namespace"] == policy["metadata"]["namespace"]
        and objects.selector(one) == objects.selector(policy)
    )
    return objects.age(policy) == min(map(objects.age, same))


RULE = ObjectRule(
    "mtls-disabled",
    "high",
    "takes mTLS away: the servers that it is for take none, and sidecars call them in plaintext",
    "Both pods may have a sidecar, and what they say can be read on the network all the same. The "
    "server is shown no identity that a policy could name.",
    "Set STRICT; or PERMISSIVE, as long as callers without a sidecar remain.",
    (
        "cell http1.1/http/disable/sidecar",
        "cell http1.1/http/strict/sidecar/port_policy=disable",
    ),
    _found,
)
