"""A port, or a range of addresses, is left out of interception."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "past-the-sidecar",
    "medium",
    "crosses in plaintext: one of the two sidecars is told to leave this port or address out",
    "What is left out has neither mTLS nor policies.",
    "Remove the port from traffic.sidecar.istio.io/excludeInboundPorts, or excludeOutboundPorts.",
    ("https_in_mtls", "wrong_version_number"),
    lambda edge: seen.in_plaintext(edge) and seen.past_sidecar(edge),
    lambda edge: seen.present(seen.who_leaves_out(edge)),
    about=seen.who_leaves_out,
)
