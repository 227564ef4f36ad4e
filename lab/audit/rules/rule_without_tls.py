"""A DestinationRule takes mTLS away."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "rule-without-tls",
    "high",
    "crosses in plaintext: a DestinationRule tells the caller's sidecar not to use mTLS",
    "Both pods have a sidecar, and what they say can be read on the network.",
    "Remove `tls` from the rule, or set ISTIO_MUTUAL, if the server's sidecar takes mTLS.",
    ("rest_mtls C0b", "wrong_version_number", "test tests/lab/audit/test_audit_live.py"),
    lambda edge: (
        seen.in_plaintext(edge) and bool(seen.rule_of(edge)) and not seen.past_sidecar(edge)
    ),
    lambda edge: (seen.asks(edge),),
)
