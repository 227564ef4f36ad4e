"""A headless Service has one transport socket for all its pods and ports."""

from lab import declare as d

HEADLESS = d.headless("web-h", 8084, workload="httpbin")
ORDINARY = d.service("web-c", 8004, target=8084, workload="httpbin")
RULE = d.headless("web-rule", 8083, workload="httpbin")
EXCEPTED = d.port_mtls("httpbin", (8083, 8084), "{port_mode}", mode="STRICT")
PART = {"part": "mixed"}
INJECTED = d.Variant("injected", of="httpbin", labels=PART)
BARE = d.Variant("bare", of="httpbin", labels=PART, sidecar=False)
MIXED = d.headless_by_label("mixed", PART, {"http": 8081, "http-remedy": 8083})
ALONE = d.headless("alone", 8082, workload="injected")
TOO = d.headless("alone-too", 8084, workload="injected")
ANY = "/anything/{marker}"


def at(name: str, service: str, port: int, workload: str) -> d.Call:
    """Return a request to one pod behind a headless Service, by that Service's name."""
    command = f"curl -sS --resolve {service}:{port}:{{ip}} http://{service}:{port}{ANY}"
    return d.to_address(name, "mixed", workload, port, command)


heal = d.remedies("L1", d.unanswered, d.answered, lambda own: d.curl("", "posted", own, path=ANY))

FAILURE = d.Failure(
    name="headless_one_socket",
    title="A headless Service, an exception for a port, and a pod without a sidecar",
    symptom="By its ClusterIP a Service works; the headless name of the same pods gets 503.",
    sources=(
        "https://github.com/istio/istio/issues/39439",
        "https://github.com/istio/istio/issues/49584",
        "https://github.com/istio/istio/issues/27376",
    ),
    worlds=(
        d.posted(
            "STRICT, and two ports excepted",
            ("client", "stranger", "httpbin"),
            (HEADLESS, ORDINARY, RULE),
            objects=EXCEPTED,
        ),
        d.world(
            "mixed",
            "during",
            "a headless Service with a pod that has a sidecar, and one that has none",
            ("client", INJECTED, BARE),
            (ALONE, TOO),
            objects=MIXED,
        ),
    ),
    calls=(
        d.curl("by-cluster-ip", "posted", ORDINARY, path=ANY),
        d.curl("by-headless", "posted", HEADLESS, path=ANY),
        d.curl("stranger", "posted", ORDINARY, path=ANY, source="stranger"),
        at("alone", "alone", 8082, "injected"),
        at("mixed-injected", "mixed", 8081, "injected"),
        at("mixed-bare", "mixed", 8081, "bare"),
    ),
    claims=(
        d.claim(
            "L1",
            "an exception for a port holds for all Services of its pods",
            as_posted=d.answer(
                "Are both names of the excepted port served?",
                d.answered("by-cluster-ip", "by-headless", status=200),
                instead=d.all_of(
                    d.answered("by-cluster-ip", status=200), d.unanswered("by-headless", status=503)
                ),
                shows="by-headless",
            ),
            today=d.answer(
                "Does the client's sidecar speak TLS to it by the headless name alone?",
                d.all_of(d.wrong_version_number("by-headless"), d.readable("by-cluster-ip")),
                instead=d.answered("by-headless", status=200),
            ),
            pinned=("not reproduced", "reproduced"),
            because="a headless Service's cluster has one socket, chosen for the whole Service; "
            "only an ordinary one has one for each endpoint",
        ),
        d.claim(
            "L2",
            "a pod with a sidecar is called by mTLS",
            as_posted=d.answer(
                "Is it, behind a headless Service that has a pod without a sidecar too?",
                d.secured_answer("mixed-injected"),
                instead=d.readable_answer("mixed-injected", status=200),
            ),
            today=d.answer(
                "Is it, where all pods of the Service have one?",
                d.secured_answer("alone"),
                instead=d.readable("alone"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="where one endpoint cannot take mTLS, the one socket is plaintext for all",
        ),
    ),
    controls=(
        d.Control("both pods behind the headless Service answer", d.answered("mixed-bare")),
        d.stranger_is_read("stranger"),
    ),
    remedies=(
        heal(
            "rule",
            "tell clients, by a rule with mode DISABLE for the headless name",
            d.applies(RULE, d.without_tls("web-rule")),
            seen_at=("client",),
            price="a rule for each such Service; the port is in plaintext, as was wanted",
            pinned=d.pin("heals", because="a rule decides the one socket"),
        ),
        d.remedy(
            "inject-all",
            "give all pods of the headless Service a sidecar",
            claim="L2",
            call=at("", "mixed", 8083, "injected"),
            broken=d.readable,
            healed=d.secured_answer,
            instead=at("", "alone-too", 8084, "injected"),
            price="no pod can be left for later",
            pinned=d.pin("heals", because="then each endpoint can take mTLS"),
        ),
    ),
    parameters={"port_mode": d.parameter("mode of the excepted ports", "DISABLE", "STRICT")},
    symptoms=d.seen_as(
        "WRONG_VERSION_NUMBER, 503, UF",
        where="the client's proxy's log",
        tell="istioctl proxy-config cluster CLIENT_POD --fqdn SERVICE",
        says="ORIGINAL_DST: the Service is headless, and its port is excepted from mTLS",
    ),
)
