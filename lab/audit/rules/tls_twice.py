"""A DestinationRule begins TLS around a client's own."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "tls-twice",
    "high",
    "begins TLS twice: a DestinationRule wraps the client's own TLS in another",
    "The server takes off the outer one, and is given a handshake where it expects a request.",
    "Remove `tls` from the rule; or let the client speak without TLS, and name the port so.",
    ("cell tls/tcp/disable/sidecar/rule=simple-system",),
    lambda edge: (
        edge.sends == "tls"
        and bool(seen.rule_of(edge))
        and edge.way.wire is not None
        and edge.way.wire.tls is not None
        and not edge.way.wire.tls.is_workloads
    ),
    lambda edge: (seen.asks(edge), seen.service(edge)),
)
