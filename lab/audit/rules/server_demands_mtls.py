"""A server that demands mTLS is called without."""

from lab.audit import seen
from lab.audit.rule import EdgeRule
from lab.envoy.way import SERVER

RULE = EdgeRule(
    "server-demands-mtls",
    "high",
    "is refused: the server's sidecar takes mTLS only, and the call comes without",
    "The call fails. What the client sends first has crossed the network all the same.",
    "Remove what keeps the caller's sidecar from using mTLS: a rule, or the port's name.",
    ("tcp_mtls C2", "pod_address A1"),
    lambda edge: (
        edge.in_mesh
        and seen.is_told(edge)
        and seen.refused_by(edge, SERVER)
        and edge.crossed == "plaintext"
    ),
    lambda edge: seen.present(seen.rule_of(edge), seen.service(edge)),
)
