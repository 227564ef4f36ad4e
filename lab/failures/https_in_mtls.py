"""Two services with TLS of their own, and a mesh that adds its own."""

from lab import declare as d

OWN = "--cacert /etc/own-tls/ca.pem"
SHOWING = f"{OWN} --cert /etc/own-tls/cert.pem --key /etc/own-tls/key.pem"
# What curl calls an SSL error; which of them, the server's mode decides.
SSL_ERRORS = ("tls_untrusted_issuer", "tls_client_certificate_required", "not_tls")
BROKEN_OFF = ("reset", "closed")
L4 = "no routes, retries or HTTP metrics for it"


def b(name: str, port: int, target: int | str, port_name: str = "http-b") -> d.Service:
    """Return a Service by which B is asked; the target chooses what B does about certificates."""
    return d.service(name, port, port_name, target=target, workload="b")


B = b("b", 8443, "{form}", "{port_name}")
FORMS = (b("b-server", 8431, 8401), b("b-demand", 8432, 8421), b("b-ask", 8433, 8441))
COST = b("b-cost", 8434, 8450, "tcp-b")
# For each remedy a Service and a port of its own, that fails as B's does.
HTTPS, TLS, TCP = b("b-https", 8442, 8442), b("b-tls", 8444, 8443), b("b-tcp", 8445, 8444)
UNNAMED, DECLARED = b("b-unnamed", 8446, 8445), b("b-declared", 8447, 8446)
DISABLED, EXCLUDED = b("b-disabled", 8448, 8447), b("b-excluded", 8449, 8448)
ORIGINATED = b("b-originated", 8450, 8451)
SERVICES = (*(B, *FORMS, COST, HTTPS, TLS, TCP, UNNAMED, DECLARED), DISABLED, EXCLUDED, ORIGINATED)

MESH_STRICT = d.peer_authentication("STRICT", "istio-system")
PORT_DISABLED = d.together(d.port_mtls("b", 8447, "DISABLE"), d.without_tls("b-disabled"))
ORIGINATE = d.destination_rule(
    "b-originated",
    """\
tls:
  mode: MUTUAL
  caCertificates: /etc/own-tls/ca.pem
  clientCertificate: /etc/own-tls/cert.pem
  privateKey: /etc/own-tls/key.pem
  sni: b
  subjectAltNames: [b]
""",
)


def https(name: str, world: str, service: d.Service = B, flags: str = SHOWING) -> d.Call:
    """Return A's request over TLS of its own; by default it shows a certificate."""
    return d.curl(name, world, service, flags, scheme="https", source="a")


def http(name: str, world: str, service: d.Service = B, source: str = "a") -> d.Call:
    """Return a request without any TLS of the caller's own."""
    return d.curl(name, world, service, source=source)


def ssl_error(*names: str) -> d.Check:
    """Return the check for what a person sees as an SSL error."""
    return d.came_out(*names, outcomes=SSL_ERRORS + BROKEN_OFF)


def own_tls_answer(*names: str) -> d.Check:
    """Return the check for an answer that is secured by the services' own TLS alone."""
    return d.all_of(d.answered(*names), d.own_tls_only(*names))


heal = d.Remedies("C4", ssl_error, d.secured_answer, lambda own: https("", "posted", own))


def named(name: str, says: str, trial: d.Trial, price: str = L4) -> d.Remedy:
    """Return the remedy of another name for the port, or of an appProtocol."""
    carried = d.pin("heals", because="bytes are carried as they are, inside Istio's mTLS")
    return heal(name, says, trial, price=price, seen_at=("a", "b"), pinned=carried)


CERTIFICATE_IS_MISSED = d.tls_refused(
    "https-probe",
    outcomes=("tls_client_certificate_required",),
    counter="ssl.fail_verify_no_cert",
)
FAILS_IN_EACH_MODE = d.all_of(
    d.under("STRICT", "posted", CERTIFICATE_IS_MISSED),
    ssl_error("open-https"),
    d.no_filter_chain("open-https"),
    d.came_out("plain-https", outcomes=("not_tls",)),
    d.protocol_error("plain-https"),
)
MTLS_AROUND_OWN_TLS = d.all_of(
    d.secured("tcp-name:changed"),
    d.shows_sni("tcp-name:changed", sni="outbound_"),
    d.application_logged("tcp-name:changed", spoke="tls"),
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
        d.posted(("a", "b", "stranger", "member"), SERVICES),
        d.world("open", "after", "no rule at all: Istio's defaults", ("a", "b", "stranger"), (B,)),
    ),
    calls=(
        http("plain-http", "plain"),
        https("plain-https", "plain"),
        https("plain-cost", "plain", COST, OWN),
        https("plain-well", "plain", COST),
        https("https", "posted"),
        d.tls_probe("https-probe", "posted", B, sni="b", source="a"),
        http("http", "posted"),
        *(
            call(f"{call.__name__}-{service.name[2:]}", "posted", service)
            for service in FORMS
            for call in (https, http)
        ),
        https("cost", "posted", COST, OWN),
        *d.strangers.by_http("posted", B),
        https("open-https", "open"),
        http("permissive-stranger", "open", source="stranger"),
    ),
    claims=(
        d.claim(
            "C4",
            "HTTPS is an SSL error; over HTTP, B complains that there is no certificate",
            as_posted=d.answer(
                "Does A's HTTPS fail, and does B miss a certificate over HTTP?",
                d.all_of(ssl_error("https"), d.application_logged("http", words="no certificate")),
                instead=d.secured_answer("https"),
                otherwise=d.all_of(ssl_error("https"), d.unanswered("http")),
            ),
            today=d.answer(
                "Does HTTPS fail under STRICT, by default and under DISABLE, each in its own way?",
                FAILS_IN_EACH_MODE,
                instead=d.answered("open-https", "plain-https"),
                shows="https-probe",
            ),
            pinned=("reproduced", "reproduced"),
            because="an http- port takes HTTP alone, "
            "and a sidecar hands plain HTTP to its application",
        ),
        d.claim(
            "C4a",
            "Istio's documented solution is to install it with strict mTLS",
            as_posted=d.answer(
                "Does STRICT for the whole mesh heal it?",
                d.all_of(ssl_error("mesh-strict:broken"), d.secured_answer("mesh-strict:changed")),
                instead=ssl_error("mesh-strict:broken", "mesh-strict:changed"),
                shows="mesh-strict:changed",
            ),
            today=d.answer(
                "Was it the port's name in Istio's example, `https`?",
                d.secured_answer("https-name:changed"),
                instead=ssl_error("https-name:changed"),
            ),
            pinned=(
                d.pin(
                    *("not reproduced", "reproduced"),
                    because="STRICT asks for more TLS, not for less; "
                    "the example's port was named https",
                    on=d.OURS,
                ),
                d.pin(
                    *("skipped", "reproduced"),
                    because="other people's mesh is not changed; "
                    "the example's port was named https",
                    on=("existing",),
                ),
            ),
        ),
        d.claim(
            "C4b",
            "mTLS has a cost, and the demo profile is not fit to measure it",
            as_posted=d.answer(
                "Does a request cost more bytes with mTLS?",
                d.costs_more("plain-http", "http"),
                shows="http",
            ),
            today=d.answer(
                "And more again with the application's TLS inside mTLS?",
                d.costs_more("plain-cost", "cost"),
                shows="cost",
            ),
            pinned=("reproduced", "reproduced"),
            because="certificates cross once for each connection",
        ),
        d.claim(
            "C4c",
            "named tcp-..., the port is ignored by Istio and works",
            as_posted=d.answer(
                "Is only the services' own TLS on the wire then?",
                d.own_tls_only("tcp-name:changed"),
                instead=MTLS_AROUND_OWN_TLS,
            ),
            today=d.answer(
                "Does it work?",
                d.answered("tcp-name:changed", status=200),
                instead=ssl_error("tcp-name:changed"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="Istio's mTLS is around the services' own TLS: "
            "it works for the opposite reason",
        ),
    ),
    controls=(
        d.Control(
            "B answers A over its own TLS, without mTLS", d.answered("plain-well", status=200)
        ),
        d.marker_is_read("plain-http", says="without any TLS the marker is read on the wire"),
        d.stranger_gets_through(d.application_logged("permissive-stranger", spoke="http")),
        d.strangers_are_refused(),
    ),
    remedies=(
        named("tcp-name", "name the port tcp-... (the team's own)", d.rename(TCP, "tcp-b")),
        named("https-name", "name the port https-...", d.rename(HTTPS, "https-b")),
        named("tls-name", "name the port tls-...", d.rename(TLS, "tls-b")),
        named(
            "no-name",
            "give the port no name",
            d.rename(UNNAMED, ""),
            "Istio looks at the first bytes",
        ),
        named("declared", "set appProtocol: https", d.rename(DECLARED, "http-b", "https")),
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
            healed=own_tls_answer,
            price="no policy holds there: the services' own TLS is all there is",
            pinned=d.pin("heals", because="B's sidecar is not asked any more"),
        ),
        heal(
            "originate",
            "A speaks HTTP, its sidecar B's own TLS (DestinationRule MUTUAL, port excluded at B)",
            d.applies(ORIGINATED, ORIGINATE),
            call=http("", "posted", ORIGINATED),
            broken=d.unanswered,
            healed=own_tls_answer,
            price="A's certificate in A's sidecar; no policy at B",
            pinned=d.pin("heals", because="the client's sidecar speaks the services' own TLS"),
        ),
        heal(
            "mesh-strict",
            "STRICT for the whole mesh",
            d.applies(B, MESH_STRICT),
            claim="C4a",
            call=https("", "open"),
            seen_at=("b",),
            scope="mesh",
            price="everybody in the mesh is concerned",
            pinned=(
                d.pin("does not heal", because="the namespace was STRICT already", on=d.OURS),
                d.pin("skipped", because="other people's mesh is not changed", on=("existing",)),
            ),
        ),
    ),
    parameters={
        **d.POLICY,
        "port_name": d.Parameter(
            "name of B's port (the post does not tell it)",
            "http-b",
            ("http-b", "https-b", "tls-b", "tcp-b"),
        ),
        "form": d.Parameter(
            "what B does about a client's certificate: nothing, demand one, or ask for one",
            "ask",
            ("server", "demand", "ask"),
            {"server": "8400", "demand": "8420", "ask": "8440"},
        ),
    },
    try_next=(
        "make reproduce FAILURE=https_in_mtls PARAMS=port_name=tcp-b",
        "make reproduce FAILURE=https_in_mtls PARAMS=form=demand",
    ),
)
