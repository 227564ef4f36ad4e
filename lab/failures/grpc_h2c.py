"""A request that asks for an upgrade to HTTP/2, and Envoy's 403."""

from lab import declare as d

GRPCBIN = d.service("grpcbin", 4200, "{port_name}")
HTTPBIN = d.service("httpbin", 8000, target=8080)
# Each remedy has a Service and a port of its own: no connection is used again.
AS_TCP = d.service("web-tcp", 8001, target=8081, workload="httpbin")
IGNORED = d.service("web-ignored", 8002, target=8082, workload="httpbin")
ALLOWED = d.service("web-allowed", 8003, target=8083, workload="httpbin")
UNSECURED = d.service("web-unsecured", 8004, target=8084, workload="httpbin")
ONE = d.service("web-http1", 8005, target=8080, workload="httpbin")
PRIOR = d.service("web-prior", 8006, target=8080, workload="httpbin")
SERVICES = (GRPCBIN, HTTPBIN, ONE, PRIOR, AS_TCP, IGNORED, ALLOWED, UNSECURED)

UNARY = ("grpcbin.GRPCBin/DummyUnary", '{"f_string": "{marker}"}')
UPGRADE = "-H 'Connection: Upgrade' -H 'Upgrade: TLS/1.2'"
LISTED = "-H 'Connection: Upgrade' -H 'Upgrade: h2c, foo'"
IGNORE = "http_protocol_options: {ignore_http_11_upgrade: [{exact: TLS/1.2}]}"
ALLOW = "upgrade_configs: [{upgrade_type: TLS/1.2}]"
HEADERS = {"h2c": "--http2", "TLS/1.2": UPGRADE, "h2c,foo": LISTED, "none": "--http1.1"}
ANY = "/anything/{marker}"
heal = d.remedies(
    "C3",
    d.refused_upgrade,
    d.secured_answer,
    lambda own: d.curl("", "posted", own, UPGRADE, path=ANY),
    pinned=d.pin("heals", because="no upgrade is asked for, or it is let through"),
)

FAILURE = d.Failure(
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
        d.plain(("client", "stranger", "grpcbin"), (GRPCBIN,), "PERMISSIVE"),
        d.under_policy(("client", "stranger", "member", "grpcbin", "httpbin"), SERVICES),
    ),
    calls=(
        d.grpcurl("plain-grpc", "plain", GRPCBIN, *UNARY),
        d.curl("permissive-stranger", "plain", GRPCBIN, shows="-v", source="stranger"),
        d.grpcurl("grpc", "posted", GRPCBIN, *UNARY),
        d.curl("h2c", "posted", GRPCBIN, "{header}", shows="-v"),
        d.curl("tls-upgrade", "posted", GRPCBIN, UPGRADE, shows="-v"),
        d.curl("listed-upgrade", "posted", GRPCBIN, LISTED, shows="-v"),
        d.curl("h2c-web", "posted", HTTPBIN, "--http2", path=ANY),
        d.curl("no-upgrade", "posted", HTTPBIN, path=ANY),
        *d.strangers.by_http("posted", GRPCBIN),
    ),
    claims=(
        d.claim(
            "C3",
            "curl --http2 to grpcbin is answered 403 by Envoy",
            as_posted=d.answer(
                "Is the post's own request answered 403 by the client's Envoy?",
                d.refused_upgrade("h2c"),
                otherwise=d.all_of(d.left_client("h2c"), d.reached("h2c", status=415)),
            ),
            today=d.answer(
                "Does any other Upgrade header still get Envoy's 403?",
                d.all_of(
                    d.left_client("tls-upgrade", "listed-upgrade"),
                    d.refused_upgrade("tls-upgrade", "listed-upgrade"),
                    d.answered("no-upgrade", status=200),
                ),
                instead=d.reached("tls-upgrade", "listed-upgrade"),
            ),
            pinned=("fails otherwise", "reproduced"),
            because="Envoy takes `Upgrade: h2c` off since 1.12 (Istio 1.2.5); "
            "any other value gets the 403",
        ),
        d.claim(
            "C3a",
            "it might be fixed in Istio 1.2.5",
            as_posted=d.answer(
                "Does Envoy take the header off and pass the request on?",
                d.all_of(d.reached("h2c", "h2c-web"), d.upgrade_is_gone("h2c-web")),
                instead=d.refused_upgrade("h2c"),
            ),
            today=d.answer(
                "Is the fix for exactly the value `h2c`, and for no other?",
                d.all_of(d.reached("h2c-web"), d.refused_upgrade("listed-upgrade")),
                instead=d.reached("listed-upgrade"),
                shows="listed-upgrade",
            ),
            pinned=("reproduced", "reproduced"),
            because="envoy#7981, in Istio 1.1.14, 1.2.5 and 1.3",
        ),
    ),
    controls=(
        d.Control("gRPC works without mTLS", d.answered("plain-grpc")),
        d.marker_is_read("plain-grpc"),
        d.Control("gRPC works at the very port", d.answered("grpc")),
        d.stranger_gets_through(d.reached("permissive-stranger", status=415)),
        d.strangers_are_refused(),
    ),
    remedies=(
        heal(
            "http1.1",
            "do not ask for an upgrade (curl --http1.1; protocolUpgradeEnabled(false) in Java)",
            d.Trial(ONE),
            instead=d.curl("", "posted", ONE, "--http1.1", path=ANY),
            price="a setting in each client",
        ),
        heal(
            "prior-knowledge",
            "speak HTTP/2 from the first byte, as gRPC does (--http2-prior-knowledge)",
            d.Trial(PRIOR),
            instead=d.curl("", "posted", PRIOR, "--http2-prior-knowledge", path=ANY),
            price="the client must know beforehand",
        ),
        heal(
            "tcp-name",
            "name the port tcp-...",
            d.rename(AS_TCP, "tcp-web"),
            seen_at=("client", "httpbin"),
            price="no routes, retries or HTTP metrics for it",
        ),
        heal(
            "ignore-upgrade",
            "EnvoyFilter: ignore_http_11_upgrade (Envoy 1.34 and later)",
            d.applies(IGNORED, d.envoy_filter("ignore-upgrade", IGNORE, outbound=8002)),
            price="an EnvoyFilter to keep true with each Istio",
        ),
        heal(
            "allow-upgrade",
            "EnvoyFilter: upgrade_configs at the client's and the server's sidecar",
            d.applies(ALLOWED, d.envoy_filter("allow-upgrade", ALLOW, outbound=8003, inbound=8083)),
            seen_at=("client", "httpbin"),
            price="an EnvoyFilter at both ends; the server must bear the header",
        ),
        heal(
            "no-mtls",
            "turn mTLS off for the service",
            d.applies(UNSECURED, d.without_tls("web-unsecured")),
            healed=d.reached,
            price="it is not secured any more",
            pinned=d.pin("does not heal", because="the 403 has nothing to do with mTLS"),
        ),
    ),
    parameters={
        "header": d.Parameter("what the post's request asks for", "h2c", tuple(HEADERS), HEADERS),
        "port_name": d.Parameter(
            "name of grpcbin's port", "grpc", ("grpc", "http2", "http", "tcp-grpc", "web")
        ),
        **d.POLICY,
    },
    symptoms=d.seen_as(
        "403, upgrade_failed",
        where="the client; upgrade_failed is in the client's proxy's log",
        tell="kubectl logs CLIENT_POD -c istio-proxy | grep upgrade_failed",
        says="the call, which was sent to no server",
    ),
)
