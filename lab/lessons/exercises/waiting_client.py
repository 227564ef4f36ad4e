"""A server that speaks first, at a port without a name."""

from __future__ import annotations

from collections.abc import Iterator

from lab import declare as d
from lab.lessons.lesson import Asked, Cause, Lesson, Repair, Steps, Wrong, apply, patch
from lab.lessons.now import Now

MAIL = d.echo("mail", 9100, greets=(9100,))
SERVICE = d.service("mail", 9100, "")


def port(more: str) -> str:
    """Return the command that declares the port anew."""
    return patch(
        "service", "mail", f"{{spec: {{ports: [{{port: 9100, targetPort: 9100{more}}}]}}}}"
    )


def hints(now: Now) -> Iterator[Steps]:
    """Yield which proxy waits for the client's first bytes."""
    asked = now.port("mail", 9100)
    if asked and asked.speaks not in ("tcp", "tls", "https"):
        waits = (
            "looks at the client's first bytes to find the protocol"
            if not asked.speaks
            else ("waits for a request")
        )
        yield (
            "Capture packets, or look for a line in the server's log: nothing of the call has "
            "left the client's pod.",
            f"The Service's port {asked.told}: the client's sidecar {waits}. The client waits for "
            f"the "
            "server, which is not called yet.",
            "Declare the port as TCP, by its name or by appProtocol.",
        )
    if now.tls("mail") == "DISABLE":
        yield (
            "Look at the DestinationRule of mail.",
            "Its TLS mode is DISABLE: the greeting crosses in plaintext.",
            "Remove it.",
        )


LESSON = Lesson(
    name="waiting_client",
    title="Both are waiting",
    minutes=12,
    learned="say in which proxy a call hangs, and declare a protocol in which the server speaks "
    "first",
    report="The mail client connects at once, and then nothing comes: no greeting, no error, "
    "until it gives up. The server's log does not know of any connection.",
    failure="who_speaks_first",
    recorded="unnamed",
    world=d.world(
        "lesson",
        "during",
        "a server that speaks first, behind a port without a name",
        ("client", MAIL),
        (SERVICE,),
        "PERMISSIVE",
    ),
    asked=(
        Asked(
            "greeting",
            "client",
            "mail:9100",
            "say mail 9100 {marker} --read-first",
            "mutual TLS",
        ),
    ),
    causes=(
        Cause(
            "the client's sidecar waits for the client's first bytes",
            "The port is not declared, and its listener has inspectors that look at them.",
        ),
        Cause(
            "the server's sidecar refuses the connection",
            "Nothing has left the client's pod.",
        ),
        Cause(
            "the server does not listen at this port",
            "Then the call would end with an error, and not hang.",
        ),
        Cause(
            "the handshake of mutual TLS does not end",
            "None has begun: no ClientHello crosses the network.",
        ),
    ),
    look=(
        "kubectl get service mail -o yaml",
        "kubectl exec deploy/client -c client -- say mail 9100 hello --read-first",
        "istioctl proxy-config listener deploy/client --port 9100 -o yaml",
    ),
    hints=hints,
    solution=Repair("name the port tcp-mail", port(", name: tcp-mail")),
    others=(Repair("set appProtocol: tcp", port(", appProtocol: tcp")),),
    wrong=(
        Wrong(
            "demand mTLS of the server",
            patch("peerauthentication", "default", "{spec: {mtls: {mode: STRICT}}}"),
            hint="looks at the client's first bytes",
        ),
        Wrong("name the port http-mail", port(", name: http-mail"), hint="waits for a request"),
        Wrong(
            "a rule by which clients speak mTLS",
            apply(d.destination_rule("mail", "{tls: {mode: ISTIO_MUTUAL}}")),
            hint="looks at the client's first bytes",
        ),
    ),
    remember="Where a port is not declared, a sidecar looks at the first bytes of the client. Of a "
    "protocol in which the server speaks first none come.",
)
