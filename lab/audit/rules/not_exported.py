"""A Service that is not exported to the caller's namespace is called in plaintext."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "not-exported",
    "low",
    "would cross in plaintext: the Service is not exported to the caller's namespace",
    "exportTo keeps a Service from other namespaces' sidecars, and not from their pods: who calls "
    "its address all the same is passed through.",
    "Nothing, if nobody there calls it; else add the namespace to networking.istio.io/exportTo.",
    ("sidecar_scope S1",),
    lambda edge: (
        seen.in_plaintext(edge)
        and seen.cluster(edge) == seen.PASSTHROUGH
        and not seen.is_told(edge)
    ),
    lambda edge: (seen.service(edge),),
)
