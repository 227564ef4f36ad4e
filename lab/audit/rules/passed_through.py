"""A call that no Service carries leaves the pod as it is."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "passed-through",
    "high",
    "crosses in plaintext: the caller's sidecar has no listener for it, and passes it through",
    "Both pods have a sidecar, and what they say can be read on the network. A DestinationRule "
    "does not help: it is made for a cluster that this call does not go to.",
    "Name the port after what it carries (tcp-..., http-...), not udp-...; in a Sidecar, name the "
    "host.",
    ("tcp_mtls C2", "sidecar_scope S1", "pod_address A1"),
    lambda edge: (
        seen.in_plaintext(edge) and seen.cluster(edge) == seen.PASSTHROUGH and seen.is_told(edge)
    ),
    lambda edge: (seen.service(edge),),
)
