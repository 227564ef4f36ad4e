"""A policy for connections is applied at the client's first bytes, which a greeting precedes."""

from lab.audit import seen
from lab.audit.rule import EdgeRule
from lab.envoy.way import SERVER

RULE = EdgeRule(
    "greets-the-refused",
    "low",
    "is heard by callers that its policy refuses, where the server speaks first: the sidecar "
    "applies it at the client's first bytes",
    "By then the sidecar has connected to the server, and passes on what that says: a version, or "
    "a challenge (https://github.com/envoyproxy/envoy/issues/9023).",
    "None within Istio. Have the server say nothing before its client has.",
    ("authorization_or_mtls N2",),
    lambda edge: (
        edge.sends == "line"
        and seen.refused_by(edge, SERVER)
        and edge.way.detail.startswith("rbac_access_denied")
    ),
    lambda edge: seen.present(seen.service(edge), edge.way.detail),
)
