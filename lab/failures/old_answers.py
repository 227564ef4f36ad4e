"""Reports that are still found and followed, and are no longer true."""

from lab import declare as d

HTTPBIN = d.service("httpbin", 8000, target=8080)
RULED = d.service("ruled", 8001, target=8081, workload="httpbin")
ANY = "/anything/{marker}"
ALIAS = """\
apiVersion: v1
kind: Service
metadata: {name: alias}
spec:
  type: ExternalName
  externalName: httpbin.{namespace}.svc.cluster.local
  ports: [{name: http, port: 8000}]
"""
NO_TLS_BLOCK = d.destination_rule("ruled", "{loadBalancer: {simple: RANDOM}}")

FAILURE = d.Failure(
    name="old_answers",
    title="Two answers that are out of date: ExternalName, and a rule without a tls block",
    symptom="An old answer says that mTLS is lost here, and advises what nobody needs any more.",
    sources=(
        "https://github.com/istio/istio/issues/24886",
        "https://github.com/istio/istio/pull/46332",
        "https://istio.io/latest/news/releases/1.21.x/announcing-1.21/upgrade-notes/",
        "https://github.com/istio/istio/issues/7590",
        "https://github.com/istio/istio/issues/6279",
    ),
    worlds=(
        d.posted(
            "mTLS is demanded; an ExternalName, and a rule that has only a load balancer",
            ("client", "stranger", "httpbin"),
            (HTTPBIN, RULED),
            "STRICT",
            objects=d.together(ALIAS, NO_TLS_BLOCK),
        ),
    ),
    calls=(
        d.curl("by-name", "posted", HTTPBIN, path=ANY),
        d.call("alias", "posted", HTTPBIN, f"curl -sS http://alias:8000{ANY}", source="{client}"),
        d.curl("ruled", "posted", RULED, path=ANY, source="{client}"),
        d.curl("stranger", "posted", HTTPBIN, path=ANY, source="stranger"),
    ),
    claims=(
        d.claim(
            "O1",
            "an ExternalName of a Service in the mesh loses mTLS, and fails under STRICT",
            as_posted=d.answer(
                "Does the call by the ExternalName fail?",
                d.unanswered("alias"),
                instead=d.secured_answer("alias"),
            ),
            today=d.answer(
                "Is it called as by its own name?",
                d.secured_answer("alias", "by-name"),
                instead=d.unanswered("alias"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="since Istio 1.21 an ExternalName is an alias of the Service",
        ),
        d.claim(
            "O2",
            "a DestinationRule without a tls block turns mTLS off",
            as_posted=d.answer(
                "Does the call under such a rule fail?",
                d.unanswered("ruled"),
                instead=d.secured_answer("ruled"),
            ),
            today=d.answer(
                "Is it secured as without the rule?",
                d.secured_answer("ruled", "by-name"),
                instead=d.unanswered("ruled"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="since Istio 1.5 mTLS is chosen automatically where a rule has no tls block",
        ),
    ),
    controls=(
        d.Control("httpbin is called by mTLS", d.secured_answer("by-name")),
        d.stranger_is_read("stranger"),
    ),
    parameters={
        "client": d.parameter("who calls, with a sidecar or without", "client", "stranger"),
    },
    symptoms=d.seen_as(
        "ExternalName, DestinationRule without tls",
        where="an answer of 2018 to 2023",
        tell="istioctl version",
        says="1.21 or later: it is out of date",
    ),
)
