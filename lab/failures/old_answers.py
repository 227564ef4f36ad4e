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
GOES_ON = "istio-proxy is running"
NO_TLS_BLOCK = d.destination_rule("ruled", "{loadBalancer: {simple: RANDOM}}")

FAILURE = d.Failure(
    name="old_answers",
    title="Answers that are out of date: ExternalName, a rule without a tls block, Jobs",
    symptom="An old answer says what fails here, and advises what nobody needs any more.",
    sources=(
        "https://github.com/istio/istio/issues/24886",
        "https://github.com/istio/istio/pull/46332",
        "https://istio.io/latest/news/releases/1.21.x/announcing-1.21/upgrade-notes/",
        "https://github.com/istio/istio/issues/7590",
        "https://github.com/istio/istio/issues/6279",
        "https://github.com/istio/istio/issues/11045",
        "https://istio.io/latest/news/releases/1.27.x/announcing-1.27/",
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
        d.job("job", "posted", native="{native_sidecar}"),
        d.job("old-job", "posted", native="false"),
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
        d.claim(
            "O3",
            "a Job with a sidecar never completes: the sidecar goes on",
            as_posted=d.answer(
                "Does the Job's sidecar go on after it?",
                d.api_said("job", GOES_ON),
                instead=d.applied("job"),
            ),
            today=d.answer(
                "Does it complete, where a sidecar that is an ordinary container goes on?",
                d.all_of(d.applied("job"), d.api_said("old-job", GOES_ON)),
                instead=d.api_said("job", GOES_ON),
            ),
            pinned=("not reproduced", "reproduced"),
            because="since Istio 1.27 sidecars are native ones where Kubernetes is 1.33 or later",
        ),
    ),
    controls=(
        d.Control("httpbin is called by mTLS", d.secured_answer("by-name")),
        d.stranger_is_read("stranger"),
    ),
    parameters={
        "client": d.parameter("who calls, with a sidecar or without", "client", "stranger"),
        "native_sidecar": d.parameter("whether the Job's sidecar is a native one", "true", "false"),
    },
    symptoms=d.seen_as(
        "ExternalName, DestinationRule without tls",
        where="an answer of 2018 to 2023",
        tell="istioctl version",
        says="1.21 or later: it is out of date",
    )
    + d.seen_as(
        "NotReady 1/2, a Job that stays active",
        where="kubectl get pods, jobs",
        tell="kubectl get pod POD -o jsonpath='{.spec.initContainers[*].name}'",
        says="istio-init alone: its sidecar is an ordinary container, and goes on",
    ),
)
