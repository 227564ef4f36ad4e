"""Two services with TLS of their own, and a mesh that adds its own."""

from lab import declare as d
from lab.declare.own_tls import FORM, OWN_CA, b, http, https, https_and_http

B = b("b", 8443, "{form}", "{port_name}")
SERVER, DEMAND, ASK = b("b-server", 8431, 8401), b("b-demand", 8432, 8421), b("b-ask", 8433, 8441)
COST = b("b-cost", 8434, 8450, "tcp-b")
# For each remedy a Service and a port of its own, that fails as B's does.
HTTPS, TLS, TCP = b("b-https", 8442, 8442), b("b-tls", 8444, 8443), b("b-tcp", 8445, 8444)
UNNAMED, DECLARED = b("b-unnamed", 8446, 8445), b("b-declared", 8447, 8446)
DISABLED, EXCLUDED = b("b-disabled", 8448, 8447), b("b-excluded", 8449, 8448)
ORIGINATED = b("b-originated", 8450, 8451)
SERVICES: tuple[d.Service, ...] = (B, SERVER, DEMAND, ASK, COST, HTTPS, TLS, TCP, UNNAMED)
SERVICES += (DECLARED, DISABLED, EXCLUDED, ORIGINATED)
NAMES = ("http-b", "https-b", "tls-b", "tcp-b")
PORT_DISABLED = d.together(d.port_mtls("b", 8447, "DISABLE"), d.without_tls("b-disabled"))

FAILS_IN_EACH_MODE = d.all_of(
    d.under("STRICT", "posted", d.strangers.misses_certificate("https-probe")),
    d.ssl_error("open-https"),
    d.no_filter_chain("open-https"),
    d.came_out("plain-https", outcomes=("not_tls",)),
    d.protocol_error("plain-https"),
)
MORE_TLS = "STRICT asks for more TLS, not for less; the example's port was named https"
NOT_CHANGED = "other people's mesh is not changed; the example's port was named https"
NAMED = "tcp-name:changed"
OWN_TLS_WORKS = d.answered("plain-well", status=200)
OWN_TLS_ONLY = d.own_tls_only(NAMED)
MTLS_AROUND = d.all_of(
    d.secured(NAMED), d.shows_sni(NAMED, sni="outbound_"), d.application_logged(NAMED, spoke="tls")
)
MTLS_COSTS, BOTH_COST = d.costs_more("plain-http", "http"), d.costs_more("plain-cost", "cost")

C4 = d.claim(
    "C4",
    "HTTPS is an SSL error; over HTTP, B complains that there is no certificate",
    as_posted=d.answer(
        "Does A's HTTPS fail, and does B miss a certificate over HTTP?",
        d.all_of(d.ssl_error("https"), d.application_logged("http", words="no certificate")),
        instead=d.secured_answer("https"),
        otherwise=d.all_of(d.ssl_error("https"), d.unanswered("http")),
    ),
    today=d.answer(
        "Does HTTPS fail under STRICT, by default and under DISABLE, each in its own way?",
        FAILS_IN_EACH_MODE,
        instead=d.answered("open-https", "plain-https"),
        shows="https-probe",
    ),
    pinned=("reproduced", "reproduced"),
    because="an http- port takes HTTP alone, and a sidecar hands plain HTTP to its application",
)

C4A = d.claim(
    "C4a",
    "Istio's documented solution is to install it with strict mTLS",
    as_posted=d.answer(
        "Does STRICT for the whole mesh heal it?",
        d.all_of(d.ssl_error("mesh-strict:broken"), d.secured_answer("mesh-strict:changed")),
        instead=d.ssl_error("mesh-strict:broken", "mesh-strict:changed"),
        shows="mesh-strict:changed",
    ),
    today=d.answer(
        "Was it the port's name in Istio's example, `https`?",
        d.secured_answer("https-name:changed"),
        instead=d.ssl_error("https-name:changed"),
    ),
    pinned=d.pins_on_ours("not reproduced", "reproduced", because=MORE_TLS, elsewhere=NOT_CHANGED),
)

C4B = d.claim(
    "C4b",
    "mTLS has a cost, and the demo profile is not fit to measure it",
    as_posted=d.answer("Does a request cost more bytes with mTLS?", MTLS_COSTS, shows="http"),
    today=d.answer(
        "And more again with the application's TLS inside mTLS?", BOTH_COST, shows="cost"
    ),
    pinned=("reproduced", "reproduced"),
    because="certificates cross once for each connection",
)

C4C = d.claim(
    "C4c",
    "named tcp-..., the port is ignored by Istio and works",
    as_posted=d.answer(
        "Is only the services' own TLS on the wire then?", OWN_TLS_ONLY, instead=MTLS_AROUND
    ),
    today=d.answer("Does it work?", d.answered(NAMED, status=200), instead=d.ssl_error(NAMED)),
    pinned=("not reproduced", "reproduced"),
    because="Istio's mTLS is around the services' own TLS: it works for the opposite reason",
)

failing = ("C4", d.ssl_error, d.secured_answer, lambda own: https("", "posted", own))
heal = d.remedies(*failing)
rename = d.remedies(
    *failing,
    price="no routes, retries or HTTP metrics for it",
    seen_at=("a", "b"),
    pinned=d.pin("heals", because="bytes are carried as they are, inside Istio's mTLS"),
)
DETECTED = "Istio looks at the first bytes"
REMEDIES = (
    rename("tcp-name", "name the port tcp-... (the team's own)", d.rename(TCP, "tcp-b")),
    rename("https-name", "name the port https-...", d.rename(HTTPS, "https-b")),
    rename("tls-name", "name the port tls-...", d.rename(TLS, "tls-b")),
    rename("no-name", "give the port no name", d.rename(UNNAMED, ""), price=DETECTED),
    rename("declared", "set appProtocol: https", d.rename(DECLARED, "http-b", "https")),
    heal(
        "port-disable",
        "turn mTLS off for this port, at both ends",
        d.applies(DISABLED, PORT_DISABLED),
        healed=d.answered,
        seen_at=("a", "b"),
        price="a rule for each end, and Istio still takes it for HTTP",
        pinned=d.pin("does not heal", because="without mTLS it is still taken for HTTP"),
    ),
    heal(
        "exclude-port",
        "keep B's sidecar off the port (excludeInboundPorts)",
        d.retarget(EXCLUDED, 8451),
        healed=d.own_tls_answer,
        price="no policy holds there: the services' own TLS is all there is",
        pinned=d.pin("heals", because="B's sidecar is not asked any more"),
    ),
    heal(
        "originate",
        "A speaks HTTP, its sidecar B's own TLS (DestinationRule MUTUAL, port excluded at B)",
        d.applies(ORIGINATED, d.originate_tls("b-originated", "/etc/own-tls", "b")),
        call=http("", "posted", ORIGINATED),
        broken=d.unanswered,
        healed=d.own_tls_answer,
        price="A's certificate in A's sidecar; no policy at B",
        pinned=d.pin("heals", because="the client's sidecar speaks the services' own TLS"),
    ),
    heal(
        "mesh-strict",
        "STRICT for the whole mesh",
        d.applies(B, d.peer_authentication("STRICT", "istio-system")),
        claim="C4a",
        call=https("", "open", B),
        seen_at=("b",),
        scope="mesh",
        price="everybody in the mesh is concerned",
        pinned=d.pins_on_ours("does not heal", because="the namespace was STRICT already"),
    ),
)

FAILURE = d.Failure(
    name="https_in_mtls",
    title="Two services with TLS of their own, inside mutual TLS",
    symptom="HTTPS from A to B is an SSL error; over HTTP, B misses a certificate.",
    sources=(
        "https://github.com/istio/istio/issues/16458",
        "https://github.com/istio/istio/issues/11075",
        "https://istio.io/v1.2/docs/tasks/security/https-overlay/",
        "https://istio.io/latest/docs/ops/configuration/traffic-management/tls-configuration/",
    ),
    worlds=(
        d.plain(("a", "b"), (B, COST)),
        d.under_policy(("a", "b", "stranger", "member"), SERVICES),
        d.world("open", "after", "no rule at all: Istio's defaults", ("a", "b", "stranger"), (B,)),
    ),
    calls=(
        http("plain-http", "plain", B),
        https("plain-https", "plain", B),
        https("plain-cost", "plain", COST, OWN_CA),
        https("plain-well", "plain", COST),
        https("https", "posted", B),
        d.tls_probe("https-probe", "posted", B, sni="b", source="a"),
        http("http", "posted", B),
        *https_and_http("posted", {"server": SERVER, "demand": DEMAND, "ask": ASK}),
        https("cost", "posted", COST, OWN_CA),
        *d.strangers.by_http("posted", B),
        https("open-https", "open", B),
        d.curl("permissive-stranger", "open", B, source="stranger"),
    ),
    claims=(C4, C4A, C4B, C4C),
    controls=(
        d.Control("B answers A over its own TLS, without mTLS", OWN_TLS_WORKS),
        d.marker_is_read("plain-http", says="without any TLS the marker is read on the wire"),
        d.stranger_gets_through(d.application_logged("permissive-stranger", spoke="http")),
        d.strangers_are_refused(),
    ),
    remedies=REMEDIES,
    parameters={
        **d.POLICY,
        "port_name": d.Parameter("name of B's port (the post does not tell it)", "http-b", NAMES),
        "form": FORM,
    },
    symptoms=d.seen_as(
        "wrong version number, SSL_ERROR, client sent an HTTP request to an HTTPS server",
        where="curl; the application's log",
        tell="kubectl get service SERVICE -o yaml | grep -A3 ports",
        says="a name that begins with http, for a port that speaks TLS",
    ),
)
