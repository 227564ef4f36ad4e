"""A call ends at a pod that is not behind what was asked."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "another-end",
    "high",
    "goes to another server than the one that is asked",
    "A ServiceEntry for TCP without an address takes its port from every destination.",
    "Give the ServiceEntry the server's own `addresses`.",
    ("hijacked_port",),
    lambda edge: bool(edge.to.ends) and seen.first_end(edge) not in ("", *edge.to.ends),
    lambda edge: (seen.taken_by(edge),),
)
