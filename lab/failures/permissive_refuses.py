"""A mesh certificate is refused by PERMISSIVE and taken by STRICT: it is the ALPN that counts."""

from lab import declare as d

HTTPBIN = d.service("httpbin", 8000, "{port_name}", target=8080)
# Ports of their own: for PERMISSIVE with Istio's ALPN, and for each remedy.
WITH_ALPN = d.service("web-alpn", 8001, target=8081, workload="httpbin")
DEMANDED = d.service("web-demanded", 8002, target=8082, workload="httpbin")
AS_TCP = d.service("web-tcp", 8003, target=8083, workload="httpbin")
OFFERED = d.service("web-offered", 8004, target=8084, workload="httpbin")
SERVICES = (HTTPBIN, WITH_ALPN, DEMANDED, AS_TCP, OFFERED)
REQUEST = r"GET /anything/{marker} HTTP/1.1\r\nHost: httpbin\r\nConnection: close\r\n\r\n"


def scrape(name: str, world: str, service: d.Service, alpn: str = "") -> d.Call:
    """Return a request by TLS with a mesh certificate, as Prometheus makes it."""
    offered = f"--alpn {alpn} " if alpn else ""
    probe = f"tls-probe {service.name} {service.ports[0].number} {offered}{d.strangers.MEMBER}"
    return d.call(name, world, service, f"{probe} --send '{REQUEST}'", source="member")


REFUSED = d.all_of(d.unanswered("no-alpn"), d.no_filter_chain("no-alpn"))
heal = d.remedies("H8", d.no_filter_chain, d.answered, lambda own: scrape("", "posted", own))

FAILURE = d.Failure(
    name="permissive_refuses",
    title="A program with a mesh certificate, and a server that accepts both",
    symptom="Prometheus scrapes STRICT pods by TLS, and fails at PERMISSIVE ones.",
    sources=(
        "https://github.com/istio/istio/issues/38720",
        "https://github.com/istio/istio/issues/20011",
        "https://github.com/istio/istio.io/issues/13933",
    ),
    worlds=(
        d.posted(
            "servers accept both plaintext and mTLS",
            ("client", "stranger", "member", "httpbin"),
            SERVICES,
            "{mode}",
        ),
        d.strict(("member", "httpbin"), (HTTPBIN,)),
    ),
    calls=(
        d.curl("in-the-mesh", "posted", HTTPBIN, path="/anything/{marker}"),
        d.curl("stranger", "posted", HTTPBIN, path="/anything/{marker}", source="stranger"),
        scrape("no-alpn", "posted", HTTPBIN),
        scrape("istio-alpn", "posted", WITH_ALPN, "istio"),
        scrape("strict-no-alpn", "strict", HTTPBIN),
    ),
    claims=(
        d.claim(
            "H8",
            "PERMISSIVE takes whatever STRICT takes, and plaintext",
            as_posted=d.answer(
                "Is the certificate taken by STRICT, and by PERMISSIVE too?",
                d.answered("strict-no-alpn", "no-alpn"),
                instead=d.all_of(d.answered("strict-no-alpn"), REFUSED),
                shows="no-alpn",
            ),
            today=d.answer(
                "Does it take the same certificate with Istio's ALPN?",
                d.all_of(d.let_in("istio-alpn"), d.answered("istio-alpn")),
                instead=d.unanswered("istio-alpn"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="PERMISSIVE tells mTLS from the application's own TLS by Istio's ALPN; "
            "an http port has no chain for the application's own",
        ),
    ),
    controls=(
        d.Control("httpbin is reached in the mesh", d.secured_answer("in-the-mesh")),
        d.stranger_is_read("stranger"),
    ),
    remedies=(
        heal(
            "port-strict",
            "demand mTLS at this port",
            d.applies(DEMANDED, d.port_mtls("httpbin", 8082, "STRICT")),
            healed=d.let_in,
            seen_at=("httpbin",),
            price="callers without a certificate are refused at this port",
            pinned=d.pin("heals", because="where all TLS is the mesh's, no ALPN has to tell it"),
        ),
        heal(
            "offer-alpn",
            "let the program offer the ALPN istio",
            d.Trial(OFFERED),
            instead=scrape("", "posted", OFFERED, "istio"),
            healed=d.let_in,
            price="few programs can: Prometheus cannot",
            pinned=d.pin("heals", because="it is what PERMISSIVE looks for"),
        ),
        heal(
            "tcp-name",
            "name the port tcp-...",
            d.rename(AS_TCP, "tcp-web"),
            broken=d.unanswered,
            price="the TLS is handed to an application that speaks none",
            pinned=d.pin(
                "does not heal", because="a tcp- port takes other TLS for the application's own"
            ),
        ),
    ),
    parameters={
        "mode": d.parameter("PeerAuthentication mode", "PERMISSIVE", "STRICT", "DISABLE"),
        "port_name": d.parameter("name of the port", "http", "tcp-web"),
    },
    symptoms=d.seen_as(
        "filter_chain_not_found, NR, connection reset",
        where="the server's proxy's log; the client",
        tell="istioctl proxy-config listener SERVER_POD --port 15006",
        says="for the port only chains for ALPN istio and for plaintext",
    ),
)
