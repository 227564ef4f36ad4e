"""An ALLOW that names identities, and a caller of the mesh whose sidecar shows none."""

from lab.audit import seen
from lab.audit.rule import EdgeRule
from lab.envoy.way import SERVER

RULE = EdgeRule(
    "allow-without-identity",
    "high",
    "is refused by a policy that allows identities: the caller has a sidecar, and its call comes "
    "without mTLS",
    "An identity comes from a certificate. Without mTLS no ALLOW that names one fits.",
    "Remove what keeps the caller's sidecar from using mTLS: a rule, or the port's name.",
    ("test tests/lab/audit/test_audit_live.py",),
    lambda edge: (
        edge.in_mesh
        and seen.shows_nobody(edge)
        and edge.way.outcome in ("refused", "answered by a proxy")
        and edge.way.by == SERVER
        and "rbac_access_denied" in edge.way.detail
        and bool(seen.policies(edge, "ALLOW"))
    ),
    lambda edge: seen.present(*seen.policies(edge, "ALLOW"), seen.rule_of(edge)),
)
