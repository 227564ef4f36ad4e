"""A headless Service of HTTP has one transport socket for all its pods."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "headless-one-socket",
    "high",
    "crosses in plaintext: the headless Service has a pod that cannot take mTLS, and one socket",
    "A headless Service's cluster has one socket, plaintext or mTLS, for all its pods.",
    "Give all pods of the Service a sidecar, or select only those that have one.",
    ("headless_one_socket L2",),
    lambda edge: seen.in_plaintext(edge) and seen.has_one_socket(edge) and not seen.rule_of(edge),
    lambda edge: (seen.service(edge),),
)
