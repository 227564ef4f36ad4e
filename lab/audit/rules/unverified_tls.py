"""TLS whose server nobody verifies."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "unverified-tls",
    "medium",
    "crosses by TLS that verifies nothing: whoever answers is believed",
    "A DestinationRule with insecureSkipVerify; before Istio 1.21, also one with mode SIMPLE or "
    "MUTUAL and without caCertificates.",
    "Set caCertificates and subjectAltNames in the rule.",
    ("cell http1.1/tcp/strict/sidecar/rule=simple-unverified",),
    lambda edge: (
        edge.way.wire is not None
        and edge.way.wire.tls is not None
        and not edge.way.wire.tls.verifies
    ),
    lambda edge: seen.present(seen.rule_of(edge), seen.service(edge)),
)
