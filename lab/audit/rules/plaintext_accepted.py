"""A server with a sidecar takes plaintext from anybody."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "plaintext-accepted",
    "medium",
    "is answered though the caller has no sidecar: the server takes plaintext",
    "Whoever reaches the pod can call it, without an identity that a policy could name.",
    "A PeerAuthentication with mode STRICT for the namespace or the workload.",
    ("rest_mtls C0a",),
    lambda edge: (
        edge.to.kind != "probe"
        and not edge.caller.read_proxy
        and bool(edge.server and edge.server.has_sidecar)
        and edge.way.outcome == "arrives"
        and edge.crossed in ("plaintext", "mixed")
    ),
    lambda edge: seen.present(seen.server_pod(edge)),
    about=seen.server,
)
