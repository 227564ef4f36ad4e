"""REST services over HTTP/1.1 are secured by two rules: the post's positive control."""

from lab import declare as d

HTTPBIN = d.service("httpbin", 8000, "http", target=8080)
BOTH = ("client", "httpbin")
GET = "/anything/{marker}"
CRUD = ("get", "post", "put", "patch", "delete")
OLD_POLICY = """\
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {name: default, namespace: {namespace}}
spec: {peers: [{mtls: {}}]}
"""
open_to_strangers = d.answered("plain-stranger", status=200)


def crud(world: str, prefix: str = "", verbs: tuple[str, ...] = CRUD) -> tuple[d.Call, ...]:
    """Return a call of each verb; each carries the marker, GET in its path."""
    flags = {verb: f"-X {verb.upper()} -d marker={{marker}}" for verb in verbs} | {"get": ""}
    paths = {verb: f"/{verb}" for verb in verbs} | {"get": GET}
    return tuple(
        d.curl(f"{prefix}{verb}", world, HTTPBIN, flags[verb], path=paths[verb]) for verb in verbs
    )


FAILURE = d.Failure(
    name="rest_mtls",
    title="REST over HTTP/1.1 with namespace-wide mutual TLS",
    symptom="Every CRUD call works, and nobody without a mesh certificate gets in.",
    sources=(
        "https://istio.io/latest/docs/tasks/security/authentication/authn-policy/",
        "https://www.rfc-editor.org/rfc/rfc8446#section-4.4.2",
    ),
    worlds=(
        d.plain(BOTH, (HTTPBIN,)),
        d.permissive("before", ("stranger", "httpbin"), (HTTPBIN,)),
        d.under_policy((*BOTH, "stranger", "member"), (HTTPBIN,)),
        d.world("auto", "after", "without the post's DestinationRule", BOTH, (HTTPBIN,), "STRICT"),
    ),
    calls=(
        *crud("plain", "plain-", CRUD[:2]),
        d.curl("permissive-stranger", "permissive", HTTPBIN, path=GET, source="stranger"),
        d.apply("old-policy", "posted", "httpbin", "policy.yaml", OLD_POLICY),
        d.apply("rule", "posted", "httpbin", "destination-rule.yaml", d.DESTINATION_RULE),
        *crud("posted"),
        *d.strangers.by_http("posted", HTTPBIN, GET),
        *crud("auto", "auto-", CRUD[:2]),
    ),
    claims=(
        d.claim(
            "C0",
            "REST works, and is secured by mutual TLS",
            as_posted=d.answer(
                "Do GET, POST, PUT, PATCH and DELETE work, secured on the wire?",
                d.all_of(d.answered(*CRUD, status=200), d.secured(*CRUD)),
                instead=d.all_of(
                    d.left_client(*CRUD), d.answered(*CRUD, status=200), d.readable(*CRUD)
                ),
                shows="post",
            ),
            today=d.answer(
                "Are all three strangers refused?",
                d.strangers.refused,
                instead=open_to_strangers,
                shows="plain-stranger",
            ),
            pinned=("reproduced", "reproduced"),
            because="the post's positive case holds today",
        ),
        d.claim(
            "C0a",
            "a Policy makes every service accept only mTLS",
            as_posted=d.answer(
                "Does the API server still take the post's Policy?",
                d.applied("old-policy"),
                otherwise=d.api_said("old-policy", 'no matches for kind "Policy"'),
            ),
            today=d.answer(
                "Does PeerAuthentication STRICT do it?",
                d.strangers.refused,
                instead=open_to_strangers,
                shows="plain-stranger",
            ),
            pinned=("fails otherwise", "reproduced"),
            because="Policy was removed in Istio 1.6",
        ),
        d.claim(
            "C0b",
            "a DestinationRule makes every client use mTLS",
            as_posted=d.answer(
                "Is the post's rule taken as it stands, and obeyed?",
                d.all_of(d.applied("rule"), d.secured(*CRUD)),
                instead=d.readable(*CRUD),
                shows="post",
            ),
            today=d.answer(
                "Is it the same without the rule (auto mTLS)?",
                d.all_of(d.answered("auto-get", status=200), d.secured("auto-get", "auto-post")),
                instead=d.readable("auto-get", "auto-post"),
                shows="auto-post",
            ),
            pinned=("reproduced", "reproduced"),
            because="v1alpha3 is still served; auto mTLS since 1.5",
        ),
        d.claim(
            "C0c",
            "nobody manages certificates by hand",
            as_posted=d.answer(
                "Does each proxy hold its own identity, from one issuer?",
                d.identities("posted", "client", "httpbin"),
                shows="get",
            ),
            today=d.answer(
                "Without a Secret in the namespace?",
                d.no_certificate_secrets("posted"),
                shows="get",
            ),
            pinned=("reproduced", "reproduced"),
            because="istiod signs for each service account",
        ),
    ),
    controls=(
        d.Control("REST works without mTLS", d.answered("plain-get", "plain-post", status=200)),
        d.marker_is_read("plain-get", "plain-post"),
        d.stranger_gets_through(d.answered("permissive-stranger", status=200)),
    ),
    parameters=d.POLICY,
    symptoms=d.seen_as(
        "certificate required, CERTIFICATE_REQUIRED, connection reset, filter_chain_not_found",
        where="a caller without a mesh certificate",
        tell="kubectl get peerauthentication -A",
        says="STRICT: it is meant to be refused",
    ),
)
