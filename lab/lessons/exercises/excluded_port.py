"""A port that is excluded from the server's sidecar: callers in the mesh get 503."""

from __future__ import annotations

from collections.abc import Iterator

from lab import declare as d
from lab.lessons.lesson import Asked, Cause, Lesson, Repair, Steps, Wrong, apply, patch
from lab.lessons.now import Now

ORDERS = d.Variant(
    "orders",
    of="httpbin",
    # Past its sidecar it ends idle connections itself: an old one shows nothing of a repair.
    args=("--keep-alive=1",),
    annotations={d.EXCLUDED_PORTS: "8080"},
)
SERVICE = d.service("orders", 8000, target=8080)


def excluded(ports: str) -> str:
    """Return the command that gives the server's pods another annotation; null: none."""
    notes = f'{{"{d.EXCLUDED_PORTS}": {ports}}}'
    change = f"{{spec: {{template: {{metadata: {{annotations: {notes}}}}}}}}}"
    return f"{patch('deployment', 'orders', change)}\nkubectl rollout status deployment orders"


def hints(now: Now) -> Iterator[Steps]:
    """Yield what keeps the two sidecars from mutual TLS."""
    if now.tls("orders") == "DISABLE":
        yield (
            "The call is answered. Look at the packets, or at the client's cluster: "
            "istioctl proxy-config cluster deploy/client --port 8000 -o yaml",
            "A DestinationRule with mode DISABLE makes the client's sidecar speak plaintext: the "
            "symptom is gone, and so is mTLS.",
            "Remove that rule, and let the server's sidecar take the port.",
        )
    if "8080" in now.annotation("orders", d.EXCLUDED_PORTS).split(","):
        yield (
            "Ask who answers the client's sidecar: kubectl logs deploy/client -c istio-proxy. It "
            "says WRONG_VERSION_NUMBER: TLS was answered by something that is no TLS.",
            f"The pods of orders are annotated {d.EXCLUDED_PORTS}, with 8080 in it: the "
            f"connection "
            "goes past their sidecar to the application, which speaks plaintext. Clients are not "
            "told.",
            "Take the port out of the annotation of the pods: in the Deployment it is in "
            "spec.template.metadata, and not in its own metadata.",
        )


LESSON = Lesson(
    name="excluded_port",
    title="Served to strangers, refused to friends",
    minutes=12,
    learned="find who answers a sidecar's TLS, and tell a healed symptom from a healed mesh",
    report="Since this morning's release of orders, client gets 503 for each request. From the pod "
    "stranger, which has no sidecar, the same curl is answered. Orders logs nothing but "
    "a few invalid requests.",
    failure="wrong_version_number",
    recorded="excluded",
    world=d.world(
        "lesson",
        "during",
        "a port of the server is excluded from its sidecar",
        ("client", "stranger", ORDERS),
        (SERVICE,),
    ),
    asked=(
        Asked(
            "order",
            "client",
            "orders:8000",
            "curl -sS http://orders:8000/anything/{marker}",
            "mutual TLS",
        ),
    ),
    causes=(
        Cause(
            "the server's sidecar does not take the port, and the client's speaks TLS to it",
            "The pod is annotated so. The application logs an invalid request line: it is a "
            "ClientHello.",
        ),
        Cause(
            "the server demands mTLS, and the client has no certificate",
            "Then the server's sidecar would refuse stranger too.",
        ),
        Cause(
            "orders is not ready, and has no endpoint",
            "It answers stranger; kubectl get endpointslices lists it as ready.",
        ),
        Cause(
            "the certificates of the two pods have different roots",
            "The client's log would say CERTIFICATE_VERIFY_FAILED, and says WRONG_VERSION_NUMBER.",
        ),
    ),
    look=(
        "kubectl exec deploy/client -c client -- curl -sS -i http://orders:8000/get",
        "kubectl exec deploy/stranger -- curl -sS -i http://orders:8000/get",
        "kubectl logs deploy/client -c istio-proxy --tail 3  # upstream_transport_failure_reason",
        "kubectl logs deploy/orders -c orders --tail 5",
        "kubectl get deployment orders -o yaml",
    ),
    hints=hints,
    solution=Repair("remove the annotation", excluded("null")),
    others=(
        Repair("exclude another port", excluded('"9999"')),
        Repair("exclude none", excluded('""')),
    ),
    wrong=(
        Wrong(
            "tell clients to speak plaintext",
            apply(d.without_tls("orders")),
            hint="the symptom is gone, and so is mTLS",
        ),
        Wrong(
            "take the annotation from the Deployment, and not from its pods",
            f"kubectl annotate deployment orders {d.EXCLUDED_PORTS}-",
            hint="spec.template.metadata",
        ),
        Wrong(
            "accept plaintext at the server",
            apply(d.peer_authentication("PERMISSIVE")),
            hint="goes past their sidecar",
        ),
        Wrong(
            "name the port tcp-orders",
            patch(
                "service",
                "orders",
                "{spec: {ports: [{port: 8000, targetPort: 8080, name: tcp-orders}]}}",
            ),
            hint="goes past their sidecar",
        ),
    ),
    remember="What is excluded at a server is not excluded at its clients. An annotation of pods "
    "takes effect with new pods only.",
)
