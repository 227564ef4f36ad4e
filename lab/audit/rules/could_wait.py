"""A port without a protocol: a proxy would wait, if the server behind it speaks first."""

from lab.audit import seen
from lab.audit.rule import EdgeRule
from lab.common.port_protocols import AUTO

RULE = EdgeRule(
    "could-wait",
    "low",
    "would hang if its server speaks first: a sidecar waits for the client's first bytes",
    "Istio looks at the first bytes of a port without a protocol. Servers of MySQL, SMTP and the "
    "like greet their clients, who say nothing before. What the server is, no configuration tells.",
    "Name the port tcp-... or after its protocol.",
    ("who_speaks_first", "neighbours_port"),
    lambda edge: seen.hangs(edge) and edge.to.protocol == AUTO,
    lambda edge: seen.present(seen.service(edge)),
)
