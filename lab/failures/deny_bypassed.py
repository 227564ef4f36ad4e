"""A DENY that names an identity is walked around by the pod's own address."""

from lab import declare as d

HTTPBIN = d.service("httpbin", 8000, target=8080)
ANY = "/anything/{marker}"
CLIENT = "cluster.local/ns/{namespace}/sa/client"


def deny(name: str, sources: str, *ports: int) -> str:
    """Return a policy that denies sources at ports of the workload."""
    to = ", ".join(f'"{port}"' for port in ports)
    rules = f"{{from: [{sources}], to: [{{operation: {{ports: [{to}]}}}}]}}"
    return d.authorization_policy(name, "httpbin", "DENY", rules)


DENIED = f"{{source: {{principals: [{CLIENT}]}}}}"
NO_CLIENT = deny("no-client", DENIED, 8080, 8081, 8082, 8083)
NOBODY = "notPrincipals: ['*']"


def by_address(name: str, port: int = 8080, world: str = "posted") -> d.Call:
    """Return a request to httpbin's pod at its own address."""
    return d.curl_pod(name, world, "httpbin", port)


heal = d.remedies(
    "D1", d.answered, d.unanswered, lambda port: by_address("", port), seen_at=("httpbin",)
)
NO_ALLOWED = "callers without a sidecar are refused, allowed ones too"

FAILURE = d.Failure(
    name="deny_bypassed",
    title="A DENY by identity, and a call to the pod's own address",
    symptom="A caller that the policy denies gets 403 by the Service's name, and 200 by address.",
    sources=(
        "https://github.com/istio/istio/issues/34355",
        "https://istio.io/latest/news/security/istio-security-2021-004/",
        "https://github.com/istio/istio.io/issues/9524",
    ),
    worlds=(
        d.posted(
            "a DENY for the client, and mTLS is not demanded",
            ("client", "stranger", "httpbin"),
            (HTTPBIN,),
            "{mode}",
            objects=NO_CLIENT,
        ),
        d.strict(("client", "httpbin"), (HTTPBIN,), same="DENY", objects=NO_CLIENT),
    ),
    calls=(
        d.curl("by-service", "posted", HTTPBIN, path=ANY),
        by_address("by-address"),
        d.curl("stranger", "posted", HTTPBIN, path=ANY, source="stranger"),
        d.curl("strict-by-service", "strict", HTTPBIN, path=ANY),
        by_address("strict-by-address", world="strict"),
    ),
    claims=(
        d.claim(
            "D1",
            "who is denied is denied, whichever way they come",
            as_posted=d.answer(
                "Is the denied caller refused by the Service's name and by the pod's address?",
                d.unanswered("by-service", "by-address"),
                instead=d.all_of(
                    d.unanswered("by-service", status=403),
                    d.answered("by-address", status=200),
                    d.readable("by-address"),
                ),
                shows="by-address",
            ),
            today=d.answer(
                "Are both refused where mTLS is demanded?",
                d.all_of(
                    d.unanswered("strict-by-service", status=403),
                    d.broken_off("strict-by-address"),
                    d.no_filter_chain("strict-by-address"),
                ),
                instead=d.answered("strict-by-address", status=200),
                shows="strict-by-address",
            ),
            pinned=("not reproduced", "reproduced"),
            because="without mTLS there is no identity, and a DENY of one matches nothing",
        ),
    ),
    controls=(
        d.Control(
            "the policy is in force", d.server_logged("by-service", words="rbac_access_denied")
        ),
        d.stranger_is_read("stranger"),
    ),
    remedies=(
        heal(
            "strict",
            "demand mTLS at the port",
            d.applies(8081, d.port_mtls("httpbin", 8081, "STRICT")),
            price=NO_ALLOWED,
            pinned=d.pin("heals", because="who has no identity does not get in"),
        ),
        heal(
            "second-source",
            "deny, as a second source, whoever has no identity",
            d.applies(8082, deny("no-identity", f"{DENIED}, {{source: {{{NOBODY}}}}}", 8082)),
            price=NO_ALLOWED,
            pinned=d.pin("heals", because="one source of several is enough to match"),
        ),
        heal(
            "same-source",
            "add it to the same source",
            d.applies(
                8083, deny("same-source", f"{{source: {{principals: [{CLIENT}], {NOBODY}}}}}", 8083)
            ),
            price="it looks as if it did",
            pinned=d.pin("does not heal", because="all fields of a source must match: none can"),
        ),
    ),
    parameters={"mode": d.parameter("PeerAuthentication mode", "PERMISSIVE", "STRICT")},
    passthrough=True,
    symptoms=d.seen_as(
        "PassthroughCluster, 200, RBAC",
        where="the client's proxy's log, and an answer that a policy forbids",
        tell="kubectl get authorizationpolicy -A -o yaml | grep -B9 principals",
        says="a DENY of an identity, where mTLS is not demanded",
    ),
)
