"""A port number that Istio takes for HTTP, whatever address is called."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "neighbours-port",
    "low",
    "would hang, if a server there speaks first: a Service of HTTP has the same port number, and "
    "the sidecar waits for the client's first bytes",
    "The listener of an HTTP port takes it for every address that has none of its own.",
    "Limit what the caller's sidecar is told of by a Sidecar, or use another number.",
    ("neighbours_port",),
    lambda edge: seen.hangs(edge) and edge.to.kind == "other",
    lambda _edge: (),
    about=lambda edge: seen.workload(edge.caller.name),
)
