"""A gRPC port's name that works in the mesh, and not at the gateway."""

from lab import declare as d

UNARY = ("grpcbin.GRPCBin/DummyUnary", '{"f_string": "{marker}"}')
NAMED = d.service("grpcbin", 4200, "{port_name}")
GRPC = d.service("named-grpc", 4201, "grpc", workload="grpcbin")
# For each remedy a Service and a port of its own, with a port of the gateway.
RENAMED = d.service("renamed", 4202, "h2c", workload="grpcbin")
DECLARED = d.service("declared", 4203, "h2c", workload="grpcbin")
BEHIND = {8080: NAMED, 8081: GRPC, 8082: RENAMED, 8083: DECLARED}
"""The gateway's port -> what is behind it."""
GATEWAY = d.service(
    "gateway",
    8080,
    "http2",
    more=tuple(d.Port(f"http2-{port}", port, port) for port in BEHIND if port != 8080),
)


def through(name: str, service: d.Service) -> d.Call:
    """Return a gRPC call from outside of the mesh, through the gateway."""
    port = next(port for port, behind in BEHIND.items() if behind is service)
    method, body = UNARY
    typed = f"grpcurl -plaintext -d '{body}' gateway:{port} {method}"
    way = f"gateway:{port}"
    return d.call(name, "posted", service, typed, through=way, source="stranger")


heal = d.remedies(
    "G1", d.unanswered, d.answered, lambda own: through("", own), seen_at=("gateway",)
)

FAILURE = d.Failure(
    name="grpc_at_the_gateway",
    title="A gRPC port named h2c, in the mesh and behind a gateway",
    symptom="gRPC works from pod to pod, and is UNAVAILABLE through the gateway.",
    sources=(
        "https://github.com/istio/istio/issues/57294",
        "https://github.com/istio/istio/issues/9045",
        "https://github.com/istio/istio/issues/19966",
    ),
    worlds=(
        d.posted(
            "Istio's defaults, and a gateway",
            ("client", "stranger", "grpcbin", "gateway"),
            (NAMED, GRPC, RENAMED, DECLARED, GATEWAY),
            objects=d.together(*(d.http2_gateway(port, to) for port, to in BEHIND.items())),
        ),
    ),
    calls=(
        d.grpcurl("mesh", "posted", NAMED, *UNARY),
        d.grpcurl("stranger", "posted", NAMED, *UNARY, source="stranger"),
        through("gateway", NAMED),
        through("gateway-grpc", GRPC),
    ),
    claims=(
        d.claim(
            "G1",
            "a port that works in the mesh works behind the gateway",
            as_posted=d.answer(
                "Is the same port answered in the mesh and through the gateway?",
                d.answered("mesh", "gateway"),
                instead=d.all_of(d.answered("mesh"), d.unanswered("gateway")),
                shows="gateway",
            ),
            today=d.answer(
                "Does a port named grpc work both ways?",
                d.all_of(d.answered("mesh", "gateway-grpc"), d.secured("mesh")),
                instead=d.unanswered("gateway-grpc"),
                shows="gateway-grpc",
            ),
            pinned=("not reproduced", "reproduced"),
            because="where no name tells it, a sidecar speaks as it is spoken to, and a gateway "
            "speaks HTTP/1.1",
        ),
    ),
    controls=(
        d.Control("gRPC works in the mesh", d.secured_answer("mesh")),
        d.stranger_is_read("stranger"),
    ),
    remedies=(
        heal(
            "grpc-name",
            "name the port grpc-...",
            d.rename(RENAMED, "grpc-shop"),
            price="none: it is gRPC",
            pinned=d.pin("heals", because="the name tells the gateway to speak HTTP/2"),
        ),
        heal(
            "app-protocol",
            "set appProtocol: kubernetes.io/h2c, and leave the name",
            d.rename(DECLARED, "h2c", app_protocol="kubernetes.io/h2c"),
            price="none: one line in the Service",
            pinned=d.pin("heals", because="it tells the same, as a name cannot"),
        ),
    ),
    parameters={"port_name": d.parameter("name of the port", "h2c", "grpc")},
    symptoms=d.seen_as(
        "UNAVAILABLE, 502, UPE, UC",
        where="the gRPC client; the gateway's log",
        tell="istioctl proxy-config cluster GATEWAY_POD --fqdn SERVICE -o json | grep -c http2",
        says="0: it speaks HTTP/1.1 to the port",
    ),
)
