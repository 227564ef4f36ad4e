"""A TCP port whose name begins with udp: it has no mTLS."""

from __future__ import annotations

from collections.abc import Iterator

from lab import declare as d
from lab.common import port_protocols
from lab.lessons.lesson import Asked, Cause, Lesson, Repair, Steps, Wrong, patch
from lab.lessons.now import Now

ECHO = d.service("tcp-echo", 9000, "udp-payments")


def port(name: str, more: str = "") -> str:
    """Return the command that declares the port anew."""
    declared = f"{{port: 9000, targetPort: 9000, name: {name}{more}}}"
    return patch("service", "tcp-echo", f"{{spec: {{ports: [{declared}]}}}}")


def hints(now: Now) -> Iterator[Steps]:
    """Yield what keeps the call in plaintext."""
    asked = now.port("tcp-echo", 9000)
    if asked and asked.speaks == "udp":
        yield (
            "Ask the client's sidecar what it knows of the port: "
            "istioctl proxy-config cluster deploy/client --port 9000",
            f"It knows nothing of it. The Service's port {asked.told}: Istio takes it for UDP, "
            f"makes no "
            "cluster for it, and the sidecar passes the connection on as it is.",
            "Istio reads the protocol from the name's beginning, or from appProtocol, which comes "
            "first. Neither a PeerAuthentication nor a DestinationRule changes that.",
        )
    if asked and asked.speaks in port_protocols.HTTP:
        yield (
            "Ask what the client's sidecar does with the bytes: the call is no HTTP.",
            f"The Service's port {asked.told}: the sidecar waits for a request of HTTP.",
            "Declare it as TCP.",
        )
    if now.tls("tcp-echo") == "DISABLE":
        yield (
            "Look at the DestinationRule of tcp-echo.",
            "Its TLS mode is DISABLE: the client's sidecar speaks plaintext.",
            "Remove it.",
        )


LESSON = Lesson(
    name="plaintext_port",
    title="The line that anybody can read",
    minutes=12,
    learned="say why a connection is in plaintext though a rule demands mutual TLS, and mend it",
    report="Our auditor captured packets between client and tcp-echo, and could read them. That "
    "cannot be: a DestinationRule sets ISTIO_MUTUAL for all Services of the namespace. Both pods "
    "have a sidecar, and every call is answered.",
    failure="tcp_mtls",
    recorded="udp-foo",
    world=d.world(
        "lesson",
        "during",
        "plaintext is accepted, and a rule demands mTLS of clients",
        ("client", "tcp-echo"),
        (ECHO,),
        "PERMISSIVE",
        "ISTIO_MUTUAL",
    ),
    asked=(Asked("pay", "client", "tcp-echo:9000", "say tcp-echo 9000 {marker}", "mutual TLS"),),
    causes=(
        Cause(
            "Istio does not take the port for TCP, so the client's sidecar does not know it",
            "The port's name begins with udp. istioctl proxy-config cluster lists none for it, "
            "and the call goes by PassthroughCluster.",
        ),
        Cause(
            "the server accepts plaintext, so the client sends it",
            "To a port that it knows, a client's sidecar uses mTLS whether or not it is demanded.",
        ),
        Cause(
            "mutual TLS covers HTTP and no TCP",
            "It covers every TCP connection to a port that the sidecar knows.",
        ),
        Cause(
            "the DestinationRule has the wrong host",
            "Its host begins with *. and has every Service of the namespace in it.",
        ),
    ),
    look=(
        "kubectl get service,destinationrule,peerauthentication -o yaml",
        "kubectl exec deploy/client -c client -- say tcp-echo 9000 hello",
        "kubectl logs deploy/client -c istio-proxy --tail 3  # upstream_cluster: where it went",
        "istioctl proxy-config cluster deploy/client --port 9000  # no row: not known",
    ),
    hints=hints,
    solution=Repair("name the port tcp-payments", port("tcp-payments")),
    others=(
        Repair(
            "set appProtocol: tcp, and leave the name",
            port("udp-payments", ", appProtocol: tcp"),
        ),
        Repair("give the port no name", port('""')),
        Repair("name it payments, which begins with no protocol", port("payments")),
    ),
    wrong=(
        Wrong(
            "demand mTLS of the server",
            patch("peerauthentication", "default", "{spec: {mtls: {mode: STRICT}}}"),
            hint="is named udp-payments",
        ),
        Wrong("give it another name of the same kind", port("udp-echo"), hint="is named udp-echo"),
        Wrong("name it as HTTP", port("http-payments"), hint="waits for a request of HTTP"),
    ),
    remember="A port's name, or its appProtocol, says which protocol Istio takes it for. A "
    "connection to a port that the client's sidecar does not know passes through as it is; a "
    "DestinationRule does not change that.",
)
