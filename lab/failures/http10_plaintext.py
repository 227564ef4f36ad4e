"""HTTP/1.0 is answered 426, and has left the caller's pod in plaintext."""

from lab import declare as d

HTTPBIN = d.service("httpbin", 8000, "{port_name}", target=8080)
# For each remedy a Service and a port of its own, that fails as httpbin's does.
AS_TCP = d.service("web-tcp", 8001, target=8081, workload="httpbin")
UNNAMED = d.service("web-unnamed", 8002, target=8082, workload="httpbin")
DEMANDED = d.service("web-demanded", 8003, target=8083, workload="httpbin")
UNTOUCHED = d.service("web-untouched", 8004, target=8084, workload="httpbin")
TWIN = d.service("serves-http10", 8005, target=8080)
SERVES_HTTP10 = d.Variant("serves-http10", of="httpbin", metadata={"ISTIO_META_HTTP10": "1"})
SERVICES = (HTTPBIN, AS_TCP, UNNAMED, DEMANDED, UNTOUCHED, TWIN)
ANY = "/anything/{marker}"


def http10(name: str, world: str, service: d.Service) -> d.Call:
    """Return a request as old health checkers and nginx's `proxy_pass` make it."""
    return d.curl(name, world, service, "-0", path=ANY)


PASSED_BY = d.all_of(d.readable("http10"), d.went_to("http10", cluster="PassthroughCluster"))
heal = d.remedies("H1", d.readable, d.secured_answer, lambda own: http10("", "posted", own))

FAILURE = d.Failure(
    name="http10_plaintext",
    title="An HTTP/1.0 client of a port that is named http",
    symptom="curl gets 200; nginx and an old health checker get 426 Upgrade Required.",
    sources=(
        "https://github.com/istio/istio/issues/15250",
        "https://github.com/istio/istio/issues/36707",
        "https://github.com/mosip/esignet/issues/2559",
        "https://github.com/SigNoz/charts/issues/53",
    ),
    worlds=(
        d.posted(
            "Istio's defaults: clients use mTLS, servers accept both",
            ("client", "stranger", "httpbin", SERVES_HTTP10),
            SERVICES,
        ),
        d.strict(("client", "httpbin"), (HTTPBIN,)),
    ),
    calls=(
        d.curl("http11", "posted", HTTPBIN, path=ANY),
        d.curl("stranger", "posted", HTTPBIN, path=ANY, source="stranger"),
        http10("http10", "posted", HTTPBIN),
        d.call("nginx", "posted", HTTPBIN, f"nginx-get http://httpbin:8000{ANY}"),
        http10("http10-strict", "strict", HTTPBIN),
    ),
    claims=(
        d.claim(
            "H1",
            "an HTTP/1.0 request is answered 426 Upgrade Required",
            as_posted=d.answer(
                "Is nginx's proxy_pass, as Debian 12 has it, answered 426?",
                d.unanswered("nginx", status=426),
                instead=d.answered("nginx", status=200),
            ),
            today=d.answer(
                "Did the request leave the pod in plaintext, where HTTP/1.1 goes by mTLS?",
                PASSED_BY,
                instead=d.secured("http10"),
            ),
            pinned=("reproduced", "reproduced"),
            because="no filter chain of the client's listener takes HTTP/1.0: it passes through; "
            "the 426 comes from the server's proxy",
        ),
        d.claim(
            "H1a",
            "a STRICT server keeps it from being read",
            as_posted=d.whether_unread("http10-strict"),
            today=d.whether_refused("http10-strict"),
            pinned=("not reproduced", "reproduced"),
            because="a server refuses what has been sent already",
        ),
    ),
    controls=(
        d.Control("HTTP/1.1 is answered by mTLS", d.secured_answer("http11")),
        d.stranger_is_read("stranger"),
    ),
    remedies=(
        heal(
            "tcp-name",
            "name the port tcp-...",
            d.rename(AS_TCP, "tcp-web"),
            price="no routes, retries or HTTP metrics for it",
            pinned=d.pin("heals", because="bytes are carried as they are, inside mTLS"),
        ),
        heal(
            "no-name",
            "give the port no name",
            d.rename(UNNAMED, ""),
            price="Istio looks at the first bytes; HTTP/1.0 is carried as TCP",
            pinned=d.pin("heals", because="what is not taken for HTTP goes to the Service as TCP"),
        ),
        heal(
            "strict",
            "demand mTLS of the server",
            d.applies(DEMANDED, d.port_mtls("httpbin", 8083, "STRICT")),
            seen_at=("httpbin",),
            price="refused is not unread",
            pinned=d.pin("does not heal", because="a server cannot unsend what a client has sent"),
        ),
        heal(
            "serve-http10",
            "tell the server's proxy to take HTTP/1.0 (ISTIO_META_HTTP10)",
            d.Trial(UNTOUCHED),
            instead=http10("", "posted", TWIN),
            price="200 in place of 426, and it is read all the same",
            pinned=d.pin("does not heal", because="the client's proxy decides how it leaves"),
        ),
    ),
    parameters={"port_name": d.parameter("name of the port", "http", "tcp-web")},
    passthrough=True,
    symptoms=d.seen_as(
        "426, Upgrade Required, low_version",
        where="the client; low_version is in the server's proxy's log",
        tell="kubectl logs CLIENT_POD -c istio-proxy | grep PassthroughCluster",
        says="the call, which no Service has carried",
    )
    + d.seen_as(
        "PassthroughCluster, PassthroughFilterChain",
        where="the client's proxy's log",
        tell="kubectl logs SERVER_POD -c istio-proxy | grep low_version",
        says="the same call: it was HTTP/1.0",
    ),
)
