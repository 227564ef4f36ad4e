"""A kubelet's probe that a sidecar does not let through."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "probe-refused",
    "high",
    "fails: the pod's sidecar takes mTLS only, and a kubelet has no certificate",
    "The pod is not Ready, or is restarted, though its application runs.",
    "Remove sidecar.istio.io/rewriteAppHTTPProbers from the pod, so that Istio's agent is "
    "asked in the application's place.",
    ("green_probes B2",),
    lambda edge: edge.to.kind == "probe" and edge.way.outcome == "refused",
    lambda edge: seen.present(f"sidecar.istio.io/rewriteAppHTTPProbers of {seen.server(edge)}"),
)
