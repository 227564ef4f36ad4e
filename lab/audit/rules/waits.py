"""A proxy waits for bytes that do not come, though the port is declared."""

from lab.audit import seen
from lab.audit.rule import EdgeRule
from lab.common.port_protocols import AUTO

RULE = EdgeRule(
    "waits",
    "high",
    "hangs where the server speaks first: a sidecar waits for the client's first bytes",
    "Servers of MySQL, SMTP and the like greet their clients. Clients of other protocols are not "
    "concerned.",
    "Name the port after its protocol (mysql, redis, mongo).",
    ("who_speaks_first", "neighbours_port"),
    lambda edge: seen.hangs(edge) and edge.to.protocol != AUTO and edge.to.kind != "other",
    lambda edge: seen.present(seen.service(edge), edge.way.by),
)
