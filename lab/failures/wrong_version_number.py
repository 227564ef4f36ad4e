"""A port is taken out of the mesh at one end only; and a policy that names the wrong number."""

from lab import declare as d

OUT = d.Variant("excluded", of="httpbin", annotations={d.EXCLUDED_PORTS: "8080,8081"})
EXCLUDED = d.service("excluded", 8000, target=8080)
RULE = d.service("excluded-rule", 8001, target=8081, workload="excluded")
KEPT = d.service("kept", 8003, target=8083, workload="excluded")
HTTPBIN = d.service("httpbin", 8000, target=8080)
TARGET = d.service("web-target", 8000, target=8081, workload="httpbin")
ANY = "/anything/{marker}"
# Both Services have this number; at 8080 and 8081 their workload listens.
SERVICE_NUMBER = d.port_mtls("httpbin", "{policy_port}", "STRICT", mode="PERMISSIVE")
TARGET_NUMBER = d.port_mtls("httpbin", 8081, "STRICT", mode="PERMISSIVE")

heal = d.remedies("W1", d.unanswered, d.answered, lambda own: d.curl("", "posted", own, path=ANY))


def stranger(name: str, world: str, service: d.Service) -> d.Call:
    """Return a request from a pod without a sidecar."""
    return d.curl(name, world, service, path=ANY, source="stranger")


FAILURE = d.Failure(
    name="wrong_version_number",
    title="A port excluded from the server's sidecar, and a policy for a Service's number",
    symptom="Callers in the mesh get 503 WRONG_VERSION_NUMBER; those outside are served.",
    sources=(
        "https://github.com/istio/istio/issues/30311",
        "https://github.com/istio/istio.io/issues/8917",
        "https://github.com/istio/istio/issues/49098",
        "https://github.com/istio/istio/issues/27994",
    ),
    worlds=(
        d.posted(
            "ports 8080 and 8081 are excluded from the server's sidecar",
            ("client", "stranger", OUT),
            (EXCLUDED, RULE, KEPT),
        ),
        d.world(
            "numbered",
            "during",
            "STRICT for the number that the Service has, PERMISSIVE for all others",
            ("stranger", "httpbin"),
            (HTTPBIN, TARGET),
            objects=SERVICE_NUMBER,
        ),
    ),
    calls=(
        d.curl("kept", "posted", KEPT, path=ANY),
        d.curl("excluded", "posted", EXCLUDED, path=ANY),
        stranger("excluded-stranger", "posted", EXCLUDED),
        stranger("numbered", "numbered", HTTPBIN),
    ),
    claims=(
        d.claim(
            "W1",
            "excluding a port takes it out of the mesh",
            as_posted=d.answer(
                "Are callers inside and outside of the mesh served there?",
                d.answered("excluded", "excluded-stranger", status=200),
                instead=d.all_of(
                    d.answered("excluded-stranger", status=200),
                    d.unanswered("excluded", status=503),
                ),
            ),
            today=d.answer(
                "Does the client's sidecar still speak TLS, now to the application?",
                d.all_of(
                    d.unanswered("excluded", status=503),
                    d.wrong_version_number("excluded"),
                    d.secured_answer("kept"),
                ),
                instead=d.answered("excluded", status=200),
            ),
            pinned=("not reproduced", "reproduced"),
            because="istiod does not read the annotation when it configures clients",
        ),
        d.claim(
            "W2",
            "portLevelMtls closes the port that clients use",
            as_posted=d.answer(
                "Is plaintext refused at the Service's number?",
                d.broken_off("numbered"),
                instead=d.readable_answer("numbered", status=200),
            ),
            today=d.answer(
                "Is it refused once the policy has the workload's own number?",
                d.plaintext_refused("target-number:changed"),
                instead=d.answered("target-number:changed"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="ports of a PeerAuthentication are the workload's; no warning tells",
        ),
    ),
    controls=(
        d.Control("a port that is not excluded is answered by mTLS", d.secured_answer("kept")),
        d.stranger_is_read("excluded-stranger"),
    ),
    remedies=(
        heal(
            "rule",
            "tell clients, by a rule with mode DISABLE",
            d.applies(RULE, d.without_tls("excluded-rule")),
            seen_at=("client",),
            price="a rule for each such Service; the port is in plaintext, as was wanted",
            pinned=d.pin("heals", because="the client's sidecar is told what the server's is not"),
        ),
        d.remedy(
            "target-number",
            "name the number at which the workload listens",
            claim="W2",
            call=stranger("", "numbered", TARGET),
            broken=d.readable,
            healed=d.broken_off,
            change=d.Change(SERVICE_NUMBER, TARGET_NUMBER),
            seen_at=("httpbin",),
            price="none: it is what was meant",
            pinned=d.pin("heals", because="ports of a PeerAuthentication are the workload's"),
        ),
    ),
    parameters={"policy_port": d.parameter("number in the policy", "8000", "8080")},
    symptoms=d.seen_as(
        "WRONG_VERSION_NUMBER, 503, UF",
        where="the client's proxy's log",
        tell="kubectl get pod SERVER_POD -o yaml | grep excludeInboundPorts",
        says="the port: its sidecar does not see it",
    ),
)
