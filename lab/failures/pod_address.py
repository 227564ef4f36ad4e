"""A pod's own address: how it is called is decided by names of Services that nobody calls."""

from lab import declare as d

ROWS = ("none", "headless-http", "headless-tcp", "headless-unnamed", "unrelated-http")
"""What the mesh has of a pod's port, from 8080 on."""
KINDS = (
    d.headless("of-http", 8081, "http", workload="httpbin"),
    d.headless("of-tcp", 8082, "tcp-http", workload="httpbin"),
    d.headless("of-any", 8083, "", workload="httpbin"),
)
THEIRS = (d.Namespace("theirs", d.service_of_others({"http": 8084})),)
PODS, PEER = ("client", "stranger", "httpbin"), d.Variant("peer", of="httpbin")
PLAINTEXT, MTLS = ("none", "headless-http", "unrelated-http"), ("headless-tcp", "headless-unnamed")
STRICT_ROWS = tuple(f"{name}-strict" for name in ROWS)
STRICT_PLAINTEXT = tuple(f"{name}-strict" for name in PLAINTEXT)
STRICT_MTLS = tuple(f"{name}-strict" for name in MTLS)


def rows(world: str, suffix: str = "") -> tuple[d.Call, ...]:
    """Return a request to each port of httpbin's pod, at the pod's own address."""
    return tuple(
        d.curl_pod(name + suffix, world, "httpbin", 8080 + row) for row, name in enumerate(ROWS)
    )


heal = d.remedies(
    "A1",
    d.readable,
    d.secured_answer,
    lambda port: d.curl_pod("", "strict", "peer", port),
    seen_at=("client",),
)

FAILURE = d.Failure(
    name="pod_address",
    title="Calls to a pod's own address",
    symptom="Under STRICT, peers that call each other by address work at one port of two.",
    sources=(
        "https://github.com/istio/istio/issues/37431",
        "https://github.com/istio/istio/issues/31319",
        "https://github.com/istio/istio/issues/22220",
        "https://istio.io/latest/docs/ops/deployment/application-requirements/",
    ),
    worlds=(
        d.posted("both accepted, and a Service of each kind", PODS, KINDS, "{mode}", others=THEIRS),
        d.strict(("client", "httpbin", PEER), KINDS, same="Services", others=THEIRS),
    ),
    calls=(
        *rows("posted"),
        d.curl_pod("stranger", "posted", "httpbin", 8080, source="stranger"),
        *rows("strict", "-strict"),
    ),
    claims=(
        d.claim(
            "A1",
            "under STRICT a pod cannot be called by its address",
            as_posted=d.answer(
                "Is each port refused?",
                d.unanswered(*STRICT_ROWS),
                instead=d.all_of(d.secured_answer(*STRICT_MTLS), d.unanswered(*STRICT_PLAINTEXT)),
                shows="headless-tcp-strict",
            ),
            today=d.answer(
                "Do names of Services that nobody calls decide which is?",
                d.all_of(
                    d.broken_off("none-strict"),
                    d.unanswered("headless-http-strict", "unrelated-http-strict", status=503),
                    d.readable(*STRICT_PLAINTEXT),
                ),
                instead=d.secured_answer(*STRICT_ROWS),
                shows="headless-http-strict",
            ),
            pinned=("not reproduced", "reproduced"),
            because="a headless port of TCP has a listener for each pod's address; one of HTTP has "
            "none, and a Host that is an address matches no route",
        ),
        d.claim(
            "A2",
            "where both are accepted it makes no difference",
            as_posted=d.answer(
                "Is each port answered?",
                d.answered(*ROWS, status=200),
                instead=d.unanswered(*PLAINTEXT),
            ),
            today=d.answer(
                "Are three of the five in plaintext?",
                d.all_of(d.readable(*PLAINTEXT), d.secured(*MTLS)),
                instead=d.secured(*ROWS),
            ),
            pinned=("reproduced", "reproduced"),
            because="what no Service names passes through, as it is",
        ),
    ),
    controls=(
        d.Control("a headless port of TCP is called by mTLS", d.secured("headless-tcp")),
        d.stranger_is_read("stranger"),
    ),
    remedies=(
        heal(
            "headless-tcp",
            "give the pods a headless Service, its port named tcp-...",
            d.applies(8082, d.headless("peer-8082", 8082, "tcp-http", workload="peer").manifest),
            price="no routes, retries or HTTP metrics for it",
            pinned=d.pin("heals", because="it has a listener for each pod's address"),
        ),
        heal(
            "headless-unnamed",
            "give them one whose port has no name",
            d.applies(8083, d.headless("peer-8083", 8083, "", workload="peer").manifest),
            price="Istio looks at the first bytes",
            pinned=d.pin("heals", because="it has a listener for each pod's address"),
        ),
        heal(
            "headless-http",
            "give them one whose port is named http",
            d.applies(8081, d.headless("peer-8081", 8081, "http", workload="peer").manifest),
            price="it looks as if it did",
            pinned=d.pin("does not heal", because="it has a route by name, and none by address"),
        ),
    ),
    parameters={"mode": d.parameter("PeerAuthentication mode", "PERMISSIVE", "STRICT")},
    passthrough=True,
    symptoms=d.seen_as(
        "UC, 503, allow_any, PassthroughCluster, connection reset, reset by peer",
        where="the client's proxy's log, of a call to a pod's address; the client",
        tell="istioctl proxy-config listener CLIENT_POD --port PORT",
        says="no listener for the pod's address: one for 0.0.0.0 alone, or none at all",
    ),
)
