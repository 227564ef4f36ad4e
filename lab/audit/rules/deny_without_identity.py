"""A DENY that names identities, and callers that show none."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "deny-without-identity",
    "high",
    "is answered in spite of a DENY that names identities, to callers that show none: the server "
    "takes plaintext",
    "An identity comes from a certificate. Whoever is denied by it, and calls without mTLS, by the "
    "pod's address for one, is not the one that the policy names.",
    "A PeerAuthentication with mode STRICT for the workload; or a second source in the policy, "
    'notPrincipals: ["*"].',
    ("deny_bypassed D1",),
    lambda edge: (
        edge.way.outcome == "arrives"
        and seen.shows_nobody(edge)
        and edge.crossed in ("plaintext", "mixed")
        and not seen.past_sidecar(edge)
        and bool(seen.policies(edge, "DENY"))
    ),
    lambda edge: tuple(seen.policies(edge, "DENY")),
    about=seen.server,
)
