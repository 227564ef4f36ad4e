"""Two services with TLS of their own, and a mesh that adds its own."""

from lab.declare import strangers
from lab.judge.checks import (
    all_of,
    answered,
    application_logged,
    came_out,
    costs_more,
    no_filter_chain,
    own_tls_only,
    protocol_error,
    readable,
    secured,
    secured_answer,
    shows_sni,
    tls_refused,
    unanswered,
    under,
)
from lab.model.failure import Answer, Check, Claim, Control, Failure, Pin, Remedy
from lab.model.scenario import POLICY, Call, Change, Parameter, Port, Service, World, renamed

OWN = "--cacert /etc/own-tls/ca.pem"
SHOWING = f"{OWN} --cert /etc/own-tls/cert.pem --key /etc/own-tls/key.pem"
# What curl calls an SSL error; which of them, the server's mode decides.
SSL_ERRORS = ("tls_untrusted_issuer", "tls_client_certificate_required", "not_tls")
BROKEN_OFF = ("reset", "closed")


def _b(name: str, number: int, target: int | str, port_name: str = "http-b") -> Service:
    return Service(name, "b", (Port(port_name, number, target),))


B = _b("b", 8443, "{form}", "{port_name}")
FORMS = (_b("b-server", 8431, 8401), _b("b-demand", 8432, 8421), _b("b-ask", 8433, 8441))
COST = _b("b-cost", 8434, 8450, "tcp-b")
# For each remedy a Service and a port of its own, that fails as B's does.
HTTPS, TLS, TCP, UNNAMED, DECLARED, DISABLED, EXCLUDED, ORIGINATED = (
    _b(f"b-{name}", number, target)
    for name, number, target in (
        ("https", 8442, 8442),
        ("tls", 8444, 8443),
        ("tcp", 8445, 8444),
        ("unnamed", 8446, 8445),
        ("declared", 8447, 8446),
        ("disabled", 8448, 8447),
        ("excluded", 8449, 8448),
        ("originated", 8450, 8451),
    )
)
MESH_STRICT = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
PORT_DISABLED = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: b}
spec:
  selector: {matchLabels: {app: b}}
  portLevelMtls: {8447: {mode: DISABLE}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b-disabled}
spec:
  host: b-disabled.{namespace}.svc.cluster.local
  trafficPolicy: {tls: {mode: DISABLE}}
"""
ORIGINATE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b-originated}
spec:
  host: b-originated.{namespace}.svc.cluster.local
  trafficPolicy:
    tls:
      mode: MUTUAL
      caCertificates: /etc/own-tls/ca.pem
      clientCertificate: /etc/own-tls/cert.pem
      privateKey: /etc/own-tls/key.pem
      sni: b
      subjectAltNames: [b]
"""


def _call(name: str, world: str, flags: str, service: Service = B, source: str = "a") -> Call:
    port, scheme = service.ports[0].number, "https" if flags else "http"
    words = ("curl -sS", flags, f"{scheme}://{service.name}:{port}/{{marker}}")
    command = " ".join(filter(None, words))
    return Call(name, world, source, "b", port, command, service=service.name)


def _probe(name: str, world: str) -> Call:
    return Call(name, world, "a", "b", 8443, "tls-probe b 8443 --sni b")


def ssl_error(*names: str) -> Check:
    """What a person sees as an SSL error."""
    return came_out(*names, outcomes=SSL_ERRORS + BROKEN_OFF)


def own_tls_answer(*names: str) -> Check:
    """Answered, and secured by the services' own TLS alone."""
    return all_of(answered(*names), own_tls_only(*names))


def _named(name: str, service: Service, port_name: str, says: str, price: str) -> Remedy:
    call, declared = _call("", "posted", SHOWING, service), "https" if name == "declared" else ""
    change = renamed(service, port_name, declared)
    return Remedy(
        name, "C4", says, price, call, ssl_error, secured_answer, change, seen_at=("a", "b")
    )


OURS = ("embedded", "kind")
L4 = "no routes, retries or HTTP metrics for it"

FAILURE = Failure(
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
        World(
            "plain", "before", "no mTLS on either side", ("a", "b"), (B, COST), "DISABLE", "DISABLE"
        ),
        World(
            "posted",
            "during",
            "the post's two rules, in today's API",
            ("a", "b", "stranger", "member"),
            (
                *(B, *FORMS, COST, HTTPS, TLS, TCP, UNNAMED, DECLARED),
                *(DISABLED, EXCLUDED, ORIGINATED),
            ),
            "{mtls}",
            "{rule}",
        ),
        World("open", "after", "no rule at all: Istio's defaults", ("a", "b", "stranger"), (B,)),
    ),
    calls=(
        _call("plain-http", "plain", ""),
        _call("plain-https", "plain", SHOWING),
        _call("plain-cost", "plain", OWN, COST),
        _call("plain-well", "plain", SHOWING, COST),
        _call("https", "posted", SHOWING),
        _probe("https-probe", "posted"),
        _call("http", "posted", ""),
        *(
            _call(f"{scheme}-{service.name[2:]}", "posted", flags, service)
            for service in FORMS
            for scheme, flags in (("https", SHOWING), ("http", ""))
        ),
        _call("cost", "posted", OWN, COST),
        *strangers.calls(
            "posted",
            "b",
            8443,
            "curl -sS http://b:8443/{marker}",
            strangers.http("/{marker}", "b"),
        ),
        _call("open-https", "open", SHOWING),
        _call("permissive-stranger", "open", "", source="stranger"),
    ),
    claims=(
        Claim(
            "C4",
            "HTTPS is an SSL error; over HTTP, B complains that there is no certificate",
            as_posted=Answer(
                "Does A's HTTPS fail, and does B miss a certificate over HTTP?",
                all_of(ssl_error("https"), application_logged("http", words="no certificate")),
                instead=secured_answer("https"),
                otherwise=all_of(ssl_error("https"), unanswered("http")),
                shows="https",
            ),
            today=Answer(
                "Does HTTPS fail under STRICT, by default and under DISABLE, each in its own way?",
                all_of(
                    under(
                        "STRICT",
                        "posted",
                        tls_refused(
                            "https-probe",
                            outcomes=("tls_client_certificate_required",),
                            counter="ssl.fail_verify_no_cert",
                        ),
                    ),
                    ssl_error("open-https"),
                    no_filter_chain("open-https"),
                    came_out("plain-https", outcomes=("not_tls",)),
                    protocol_error("plain-https"),
                ),
                instead=answered("open-https", "plain-https"),
                shows="https-probe",
            ),
        ),
        Claim(
            "C4a",
            "Istio's documented solution is to install it with strict mTLS",
            as_posted=Answer(
                "Does STRICT for the whole mesh heal it?",
                all_of(ssl_error("mesh-strict:broken"), secured_answer("mesh-strict:changed")),
                instead=ssl_error("mesh-strict:broken", "mesh-strict:changed"),
                shows="mesh-strict:changed",
            ),
            today=Answer(
                "Was it the port's name in Istio's example, `https`?",
                secured_answer("https-name:changed"),
                instead=ssl_error("https-name:changed"),
                shows="https-name:changed",
            ),
        ),
        Claim(
            "C4b",
            "mTLS has a cost, and the demo profile is not fit to measure it",
            as_posted=Answer(
                "Does a request cost more bytes with mTLS?",
                costs_more("plain-http", "http"),
                shows="http",
            ),
            today=Answer(
                "And more again with the application's TLS inside mTLS?",
                costs_more("plain-cost", "cost"),
                shows="cost",
            ),
        ),
        Claim(
            "C4c",
            "named tcp-..., the port is ignored by Istio and works",
            as_posted=Answer(
                "Is only the services' own TLS on the wire then?",
                own_tls_only("tcp-name:changed"),
                instead=all_of(
                    secured("tcp-name:changed"),
                    shows_sni("tcp-name:changed", sni="outbound_"),
                    application_logged("tcp-name:changed", spoke="tls"),
                ),
                shows="tcp-name:changed",
            ),
            today=Answer(
                "Does it work?",
                answered("tcp-name:changed", status=200),
                instead=ssl_error("tcp-name:changed"),
                shows="tcp-name:changed",
            ),
        ),
    ),
    controls=(
        Control("B answers A over its own TLS, without mTLS", answered("plain-well", status=200)),
        Control(
            "without any TLS the marker is read on the wire", readable("plain-http"), plane="wire"
        ),
        Control(
            "the plaintext stranger gets through where it may",
            application_logged("permissive-stranger", spoke="http"),
        ),
        Control("the three strangers are refused", under("STRICT", "posted", strangers.refused)),
    ),
    remedies=(
        _named("tcp-name", TCP, "tcp-b", "name the port tcp-... (the team's own)", L4),
        _named("https-name", HTTPS, "https-b", "name the port https-...", L4),
        _named("tls-name", TLS, "tls-b", "name the port tls-...", L4),
        _named("no-name", UNNAMED, "", "give the port no name", "Istio looks at the first bytes"),
        _named("declared", DECLARED, "http-b", "set appProtocol: https", L4),
        Remedy(
            "port-disable",
            "C4",
            "turn mTLS off for this port, at both ends",
            "a rule for each end, and Istio still takes it for HTTP",
            _call("", "posted", SHOWING, DISABLED),
            ssl_error,
            answered,
            Change("", PORT_DISABLED),
            seen_at=("a", "b"),
        ),
        Remedy(
            "exclude-port",
            "C4",
            "keep B's sidecar off the port (excludeInboundPorts)",
            "no policy holds there: the services' own TLS is all there is",
            _call("", "posted", SHOWING, EXCLUDED),
            ssl_error,
            own_tls_answer,
            Change(EXCLUDED.manifest, _b("b-excluded", 8449, 8451).manifest),
        ),
        Remedy(
            "originate",
            "C4",
            "A speaks HTTP, its sidecar B's own TLS (DestinationRule MUTUAL, port excluded at B)",
            "A's certificate in A's sidecar; no policy at B",
            _call("", "posted", "", ORIGINATED),
            unanswered,
            own_tls_answer,
            Change("", ORIGINATE),
        ),
        Remedy(
            "mesh-strict",
            "C4a",
            "STRICT for the whole mesh",
            "everybody in the mesh is concerned",
            _call("", "open", SHOWING),
            ssl_error,
            secured_answer,
            Change("", MESH_STRICT),
            seen_at=("b",),
            scope="mesh",
        ),
    ),
    pins=(
        Pin(
            "C4",
            ("reproduced", "reproduced"),
            "an http- port takes HTTP alone, and a sidecar hands plain HTTP to its application",
        ),
        Pin(
            "C4a",
            ("not reproduced", "reproduced"),
            "STRICT asks for more TLS, not for less; the example's port was named https",
            clusters=OURS,
        ),
        Pin(
            "C4a",
            ("skipped", "reproduced"),
            "other people's mesh is not changed; the example's port was named https",
            clusters=("existing",),
        ),
        Pin("C4b", ("reproduced", "reproduced"), "certificates cross once for each connection"),
        Pin(
            "C4c",
            ("not reproduced", "reproduced"),
            "Istio's mTLS is around the services' own TLS: it works for the opposite reason",
        ),
        *(
            Pin(name, ("heals",), "bytes are carried as they are, inside Istio's mTLS")
            for name in ("tcp-name", "https-name", "tls-name", "no-name", "declared")
        ),
        Pin("port-disable", ("does not heal",), "without mTLS it is still taken for HTTP"),
        Pin("exclude-port", ("heals",), "B's sidecar is not asked any more"),
        Pin("originate", ("heals",), "the client's sidecar speaks the services' own TLS"),
        Pin("mesh-strict", ("does not heal",), "the namespace was STRICT already", clusters=OURS),
        Pin(
            "mesh-strict",
            ("skipped",),
            "other people's mesh is not changed",
            clusters=("existing",),
        ),
    ),
    parameters={
        **POLICY,
        "port_name": Parameter(
            "name of B's port (the post does not tell it)",
            "http-b",
            ("http-b", "https-b", "tls-b", "tcp-b"),
        ),
        "form": Parameter(
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
