"""A DestinationRule's settings of a port, which leave out the TLS that the rule asks for."""

from __future__ import annotations

from collections.abc import Iterator

from clusters.kube import Obj
from lab.audit import destination_rules, objects
from lab.audit.rule import Audited, Found, MeshRule

_ASKED = {"DISABLE": "plaintext", "ISTIO_MUTUAL": "mutual_tls", "SIMPLE": "tls", "MUTUAL": "tls"}
"""A rule's mode -> how calls are meant to cross. DISABLE holds even so: istiod marks the endpoints
by the rule's own mode (newMtlsChecker in pilot/pkg/xds/endpoints/mtls_checker.go of Istio 1.31)."""


def _found(there: Audited) -> Iterator[Found]:
    for rule in filter(destination_rules.policy, there.objects.destination_rules):
        mode = str(destination_rules.policy(rule).get("mode", ""))
        for field, port in _without_tls(rule):
            edges = tuple(
                one
                for one in there.by_rule.get(objects.named(rule), ())
                if one.to.port == port and one.crossed not in ("none", "unknown", _ASKED.get(mode))
            )
            if edges:
                yield Found(edges[0].to.name, (f"{objects.named(rule)}, {field}",), edges)


def _without_tls(rule: Obj) -> Iterator[tuple[str, int]]:
    """Yield the ports that have settings of their own, and no TLS in them."""
    policy = objects.spec(rule).get("trafficPolicy") or {}
    for number, one in enumerate(policy.get("portLevelSettings") or ()):
        port = (one.get("port") or {}).get("number")
        if port and not one.get("tls"):
            yield f"spec.trafficPolicy.portLevelSettings[{number}]", int(port)


RULE = MeshRule(
    "port-settings-replace",
    "medium",
    "is called without the TLS that its DestinationRule asks for: the port has settings of its own",
    "portLevelSettings replace all settings of the rule for the port. What they leave out is "
    "Istio's default: mTLS between sidecars, and plaintext to all others.",
    "Repeat `tls` in the port's settings.",
    ("test tests/lab/audit/test_audit_live.py",),
    _found,
)
