"""A Service with TLS of its own, at a port that is named as HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from lab import declare as d
from lab.common import port_protocols
from lab.lessons.lesson import Asked, Cause, Lesson, Repair, Steps, Wrong, apply, patch
from lab.lessons.now import Now

B = d.service("b", 8443, "http-b", target=8400, workload="b")


def port(name: str, more: str = "") -> str:
    """Return the command that declares the port anew."""
    declared = f"{{port: 8443, targetPort: 8400, name: {name}{more}}}"
    return patch("service", "b", f"{{spec: {{ports: [{declared}]}}}}")


SERVER = {
    "STRICT": "The server's sidecar answers that with its own certificate, which your CA did not "
    "sign, and demands one of the mesh.",
    "PERMISSIVE": "The server's sidecar takes TLS of the mesh, or plaintext: it resets the rest.",
    "DISABLE": "The server's sidecar takes nothing but plaintext.",
}
"""What becomes of TLS that a client's sidecar passed on, by the server's mode."""


def hints(now: Now) -> Iterator[Steps]:
    """Yield which sidecar expects something else than TLS."""
    asked = now.port("b", 8443)
    if asked and asked.speaks in port_protocols.HTTP:
        yield (
            "Ask the client's sidecar: kubectl logs deploy/a -c istio-proxy --tail 1. It names "
            "PassthroughCluster. The server's has no line of a handshake that failed.",
            f"Your Service's port {asked.told}: the client's sidecar expects HTTP there, finds "
            f"TLS, and "
            f"passes it on without mTLS. {SERVER[now.mode('b', 8400)]}",
            "Declare the port as what the application speaks: https, tls, or tcp.",
        )
    if now.tls("b") in ("SIMPLE", "DISABLE"):
        yield (
            "Look at the DestinationRule of b.",
            f"Its TLS mode is {now.tls('b')}: the sidecars do not use mTLS with each other.",
            "Remove it.",
        )


LESSON = Lesson(
    name="https_as_http",
    title="Whose certificate is this?",
    minutes=15,
    learned="run a service with TLS of its own in a mesh",
    report="Service a calls b over HTTPS with our own certificates, as it did before the mesh. "
    "Since both have sidecars, curl says: self-signed certificate in certificate chain. But our "
    "certificates are valid, and the CA is the same as ever.",
    failure="https_in_mtls",
    recorded="https",
    world=d.world(
        "lesson",
        "during",
        "services with TLS of their own",
        ("a", "b"),
        (B,),
        "STRICT",
    ),
    asked=(
        Asked(
            "https",
            "a",
            "b:8443",
            "curl -sS --cacert /etc/own-tls/ca.pem https://b:8443/{marker}",
            "mutual TLS",
        ),
    ),
    causes=(
        Cause(
            "the port is declared as HTTP, so the client's sidecar passes TLS on as it is, "
            "without mTLS",
            "The log of a's sidecar names PassthroughCluster, and b's sidecar answers curl's TLS "
            "with the mesh's certificate.",
        ),
        Cause(
            "the own certificates are not signed by the mesh's authority",
            "Nothing in the mesh verifies them: curl -svk shows another certificate than b's.",
        ),
        Cause(
            "the certificate of b has expired",
            "curl never saw it: curl -svk shows another certificate than b's.",
        ),
        Cause(
            "TLS in mTLS is not possible",
            "It is: a sidecar carries the bytes of a port that is declared as TLS or TCP as they "
            "are.",
        ),
    ),
    look=(
        "kubectl get service b -o yaml",
        "kubectl exec deploy/a -- curl -svk https://b:8443/  # issuer: O=cluster.local is the mesh",
        "kubectl logs deploy/a -c istio-proxy --tail 3",
        "istioctl proxy-config listener deploy/a --port 8443",
    ),
    hints=hints,
    solution=Repair("name the port https-b", port("https-b")),
    others=(
        Repair("name it tcp-b", port("tcp-b")),
        Repair("name it b-https, which begins with no protocol", port("b-https")),
        Repair("set appProtocol: https", port("http-b", ", appProtocol: https")),
    ),
    wrong=(
        Wrong(
            "turn mTLS off at the server",
            patch("peerauthentication", "default", "{spec: {mtls: {mode: DISABLE}}}"),
            hint="expects HTTP there, finds TLS",
        ),
        Wrong(
            "accept plaintext at the server",
            patch("peerauthentication", "default", "{spec: {mtls: {mode: PERMISSIVE}}}"),
            hint="it resets the rest",
        ),
        Wrong(
            "let the client's sidecar speak TLS",
            apply(d.destination_rule("b", "{tls: {mode: SIMPLE, insecureSkipVerify: true}}")),
            hint="expects HTTP there, finds TLS",
        ),
        Wrong("name it http2-b", port("http2-b"), hint="is named http2-b"),
    ),
    remember="A port is declared as what the application itself sends. TLS of its own is then "
    "carried inside the mesh's, and both sidecars see nothing but bytes. Where a port is not "
    "declared, Istio detects TLS.",
)
