"""A request that asks for an upgrade to HTTP/2, and Envoy's 403."""

from lab.declare import strangers
from lab.judge.checks import (
    all_of,
    answered,
    left_client,
    reached,
    readable,
    refused_upgrade,
    secured_answer,
    under,
    upgrade_is_gone,
)
from lab.model.failure import Answer, Claim, Control, Failure, Pin, Remedy
from lab.model.scenario import POLICY, Call, Change, Parameter, Port, Service, World, renamed

GRPCBIN = Service("grpcbin", "grpcbin", (Port("{port_name}", 4200, 4200),))
HTTPBIN = Service("httpbin", "httpbin", (Port("http", 8000, 8080),))
# For each remedy that changes the mesh a Service and a port of its own.
AS_TCP, IGNORED, ALLOWED, UNSECURED = (
    Service(f"web-{name}", "httpbin", (Port("http", number, number + 80),))
    for name, number in (("tcp", 8001), ("ignored", 8002), ("allowed", 8003), ("unsecured", 8004))
)
# Ports of their own for what a caller does otherwise: no connection is used again.
ONE, PRIOR = (
    Service(f"web-{name}", "httpbin", (Port("http", number, 8080),))
    for name, number in (("http1", 8005), ("prior", 8006))
)
UPGRADE = "-H 'Connection: Upgrade' -H 'Upgrade: TLS/1.2'"
LISTED = "-H 'Connection: Upgrade' -H 'Upgrade: h2c, foo'"
MANAGER = "envoy.filters.network.http_connection_manager"
FILTER = f"filter: {{name: {MANAGER}}}"
OUTBOUND = f"context: SIDECAR_OUTBOUND, listener: {{portNumber: %d, filterChain: {{{FILTER}}}}}"
INBOUND = f"context: SIDECAR_INBOUND, listener: {{filterChain: {{destinationPort: %d, {FILTER}}}}}"


def _envoy_filter(name: str, setting: str, *places: str) -> str:
    lines = [
        "apiVersion: networking.istio.io/v1alpha3",
        "kind: EnvoyFilter",
        f"metadata: {{name: {name}}}",
        "spec:",
        "  configPatches:",
    ]
    kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    for place in places:
        lines += [
            "  - applyTo: NETWORK_FILTER",
            f"    match: {{{place}}}",
            "    patch:",
            "      operation: MERGE",
            "      value:",
            "        typed_config:",
            f'          "@type": type.googleapis.com/{kind}',
            f"          {setting}",
        ]
    return "\n".join(lines) + "\n"


DISABLED = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web-unsecured}
spec:
  host: web-unsecured.{namespace}.svc.cluster.local
  trafficPolicy: {tls: {mode: DISABLE}}
"""


def _grpc(name: str, world: str, source: str = "client") -> Call:
    asked = """grpcurl -plaintext -d '{"f_string": "{marker}"}' grpcbin:4200"""
    return Call(name, world, source, "grpcbin", 4200, f"{asked} grpcbin.GRPCBin/DummyUnary")


def _curl(name: str, flags: str, world: str = "posted", source: str = "client") -> Call:
    words = ("curl -v", flags, "http://grpcbin:4200/{marker}")
    return Call(name, world, source, "grpcbin", 4200, " ".join(filter(None, words)))


def _web(flags: str, service: Service = HTTPBIN, name: str = "") -> Call:
    port = service.ports[0].number
    words = ("curl -sS", flags, f"http://{service.name}:{port}/anything/{{marker}}")
    command = " ".join(filter(None, words))
    return Call(name, "posted", "client", "httpbin", port, command, service=service.name)


FAILURE = Failure(
    name="grpc_h2c",
    title="curl --http2 to a gRPC server behind a sidecar",
    symptom="A request with `Upgrade: h2c` is answered 403 by Envoy and never leaves the pod.",
    sources=(
        "https://github.com/istio/istio/issues/16391",
        "https://github.com/envoyproxy/envoy/pull/7981",
        "https://github.com/envoyproxy/envoy/issues/36305",
        "https://istio.io/latest/news/releases/1.2.x/announcing-1.2.5/",
    ),
    worlds=(
        World(
            "plain",
            "before",
            "the client without mTLS, the server accepts both",
            ("client", "stranger", "grpcbin"),
            (GRPCBIN,),
            "PERMISSIVE",
            "DISABLE",
        ),
        World(
            "posted",
            "during",
            "the post's two rules, in today's API",
            ("client", "stranger", "member", "grpcbin", "httpbin"),
            (GRPCBIN, HTTPBIN, ONE, PRIOR, AS_TCP, IGNORED, ALLOWED, UNSECURED),
            "{mtls}",
            "{rule}",
        ),
    ),
    calls=(
        _grpc("plain-grpc", "plain"),
        _curl("permissive-stranger", "", "plain", "stranger"),
        _grpc("grpc", "posted"),
        _curl("h2c", "{header}"),
        _curl("tls-upgrade", UPGRADE),
        _curl("listed-upgrade", LISTED),
        _web("--http2", name="h2c-web"),
        _web("", name="no-upgrade"),
        *strangers.calls(
            "posted",
            "grpcbin",
            4200,
            "curl -sS http://grpcbin:4200/{marker}",
            strangers.http("/{marker}", "grpcbin"),
        ),
    ),
    claims=(
        Claim(
            "C3",
            "curl --http2 to grpcbin is answered 403 by Envoy",
            as_posted=Answer(
                "Is the post's own request answered 403 by the client's Envoy?",
                refused_upgrade("h2c"),
                otherwise=all_of(left_client("h2c"), reached("h2c", status=415)),
                shows="h2c",
            ),
            today=Answer(
                "Does any other Upgrade header still get Envoy's 403?",
                all_of(
                    left_client("tls-upgrade", "listed-upgrade"),
                    refused_upgrade("tls-upgrade", "listed-upgrade"),
                    answered("no-upgrade", status=200),
                ),
                instead=reached("tls-upgrade", "listed-upgrade"),
                shows="tls-upgrade",
            ),
        ),
        Claim(
            "C3a",
            "it might be fixed in Istio 1.2.5",
            as_posted=Answer(
                "Does Envoy take the header off and pass the request on?",
                all_of(reached("h2c", "h2c-web"), upgrade_is_gone("h2c-web")),
                instead=refused_upgrade("h2c"),
                shows="h2c",
            ),
            today=Answer(
                "Is the fix for exactly the value `h2c`, and for no other?",
                all_of(reached("h2c-web"), refused_upgrade("listed-upgrade")),
                instead=reached("listed-upgrade"),
                shows="listed-upgrade",
            ),
        ),
    ),
    controls=(
        Control("gRPC works without mTLS", answered("plain-grpc")),
        Control(
            "without mTLS the marker is read on the wire", readable("plain-grpc"), plane="wire"
        ),
        Control("gRPC works at the very port", answered("grpc")),
        Control(
            "the plaintext stranger gets through where it may",
            reached("permissive-stranger", status=415),
        ),
        Control("the three strangers are refused", under("STRICT", "posted", strangers.refused)),
    ),
    remedies=(
        Remedy(
            "http1.1",
            "C3",
            "do not ask for an upgrade (curl --http1.1; protocolUpgradeEnabled(false) in Java)",
            "a setting in each client",
            _web(UPGRADE, ONE),
            refused_upgrade,
            secured_answer,
            instead=_web("--http1.1", ONE),
        ),
        Remedy(
            "prior-knowledge",
            "C3",
            "speak HTTP/2 from the first byte, as gRPC does (--http2-prior-knowledge)",
            "the client must know beforehand",
            _web(UPGRADE, PRIOR),
            refused_upgrade,
            secured_answer,
            instead=_web("--http2-prior-knowledge", PRIOR),
        ),
        Remedy(
            "tcp-name",
            "C3",
            "name the port tcp-...",
            "no routes, retries or HTTP metrics for it",
            _web(UPGRADE, AS_TCP),
            refused_upgrade,
            secured_answer,
            renamed(AS_TCP, "tcp-web"),
            seen_at=("client", "httpbin"),
        ),
        Remedy(
            "ignore-upgrade",
            "C3",
            "EnvoyFilter: ignore_http_11_upgrade (Envoy 1.34 and later)",
            "an EnvoyFilter to keep true with each Istio",
            _web(UPGRADE, IGNORED),
            refused_upgrade,
            secured_answer,
            Change(
                "",
                _envoy_filter(
                    "ignore-upgrade",
                    "http_protocol_options: {ignore_http_11_upgrade: [{exact: TLS/1.2}]}",
                    OUTBOUND % 8002,
                ),
            ),
        ),
        Remedy(
            "allow-upgrade",
            "C3",
            "EnvoyFilter: upgrade_configs at the client's and the server's sidecar",
            "an EnvoyFilter at both ends; the server must bear the header",
            _web(UPGRADE, ALLOWED),
            refused_upgrade,
            secured_answer,
            Change(
                "",
                _envoy_filter(
                    "allow-upgrade",
                    "upgrade_configs: [{upgrade_type: TLS/1.2}]",
                    OUTBOUND % 8003,
                    INBOUND % 8083,
                ),
            ),
            seen_at=("client", "httpbin"),
        ),
        Remedy(
            "no-mtls",
            "C3",
            "turn mTLS off for the service",
            "it is not secured any more",
            _web(UPGRADE, UNSECURED),
            refused_upgrade,
            reached,
            Change("", DISABLED),
        ),
    ),
    pins=(
        Pin(
            "C3",
            ("fails otherwise", "reproduced"),
            "Envoy takes `Upgrade: h2c` off since 1.12 (Istio 1.2.5); any other value gets the 403",
        ),
        Pin("C3a", ("reproduced", "reproduced"), "envoy#7981, in Istio 1.1.14, 1.2.5 and 1.3"),
        *(
            Pin(name, ("heals",), "no upgrade is asked for, or it is let through")
            for name in (
                "http1.1",
                "prior-knowledge",
                "tcp-name",
                "ignore-upgrade",
                "allow-upgrade",
            )
        ),
        Pin("no-mtls", ("does not heal",), "the 403 has nothing to do with mTLS"),
    ),
    parameters={
        "header": Parameter(
            "what the post's request asks for",
            "h2c",
            ("h2c", "TLS/1.2", "h2c,foo", "none"),
            {"h2c": "--http2", "TLS/1.2": UPGRADE, "h2c,foo": LISTED, "none": "--http1.1"},
        ),
        "port_name": Parameter(
            "name of grpcbin's port", "grpc", ("grpc", "http2", "http", "tcp-grpc", "web")
        ),
        **POLICY,
    },
    try_next=(
        "make reproduce FAILURE=grpc_h2c PARAMS=header=TLS/1.2",
        "istio-lab show grpc_h2c",
    ),
)
