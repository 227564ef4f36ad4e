"""An exception for a port, seen through a headless Service."""

from __future__ import annotations

from collections.abc import Iterator

from lab import declare as d
from lab.lessons.lesson import Asked, Cause, Lesson, Repair, Steps, Wrong, apply, patch
from lab.lessons.now import Now

HEADLESS = d.headless("web-h", 8084, workload="httpbin")


def hints(now: Now) -> Iterator[Steps]:
    """Yield where the two sidecars disagree."""
    if now.tls("web-h") == "DISABLE":
        yield (
            "The call is answered. Look at the packets.",
            "A DestinationRule with mode DISABLE makes the client's sidecar speak plaintext: the "
            "symptom is gone, and so is mTLS.",
            "Remove that rule, and look for what the server's sidecar does not accept.",
        )
    if now.mode("httpbin", 8084) == "DISABLE":
        yield (
            "Compare what the client's sidecar sends, istioctl proxy-config cluster deploy/client "
            "--port 8084 -o yaml, with what the server's takes: istioctl x describe pod POD",
            "A PeerAuthentication has mode DISABLE for port 8084 of httpbin: its sidecar takes no "
            "TLS there. By a headless Service the client's sidecar speaks TLS all the same, as "
            "its cluster has one transport socket for all pods and ports.",
            "Remove the exception.",
        )


LESSON = Lesson(
    name="headless_exception",
    title="One name works, the other does not",
    minutes=15,
    learned="explain why a headless Service and an ordinary one treat the same pod differently",
    report="client gets 503 from web-h:8084. Last month somebody made an exception from STRICT "
    "for that port, for a tool that is long gone, and never had trouble: the tool asked another "
    "Service of the same pods. We want mTLS everywhere now.",
    failure="headless_one_socket",
    recorded="by-headless",
    world=d.world(
        "lesson",
        "during",
        "STRICT, and a port excepted",
        ("client", "httpbin"),
        (HEADLESS,),
        objects=d.port_mtls("httpbin", 8084, "DISABLE", mode="STRICT"),
    ),
    asked=(
        Asked(
            "get",
            "client",
            "web-h:8084",
            "curl -sS http://web-h:8084/anything/{marker}",
            "mutual TLS",
        ),
    ),
    causes=(
        Cause(
            "the server's sidecar takes no TLS at this port, and the client's sends it",
            "The policy has mode DISABLE there, and the client's log says WRONG_VERSION_NUMBER.",
        ),
        Cause(
            "a headless Service has no endpoints",
            "Its name resolves to the pods' addresses, and the client's sidecar asks one.",
        ),
        Cause(
            "STRICT refuses calls by a pod's address",
            "It refuses plaintext, however the pod is asked.",
        ),
        Cause(
            "the application does not listen at 8084",
            "It does: kubectl exec deploy/httpbin -c httpbin -- curl -sS localhost:8084/get",
        ),
    ),
    look=(
        "kubectl get service,peerauthentication -o yaml",
        "kubectl exec deploy/client -c client -- curl -sS -i http://web-h:8084/get",
        "kubectl logs deploy/client -c istio-proxy --tail 3",
        "istioctl proxy-config cluster deploy/client --port 8084 -o yaml",
    ),
    hints=hints,
    solution=Repair(
        "remove the exception",
        patch("peerauthentication", "httpbin", "{spec: {portLevelMtls: null}}"),
    ),
    others=(
        Repair("remove the policy", "kubectl delete peerauthentication httpbin"),
        Repair(
            "make the exception STRICT",
            patch(
                "peerauthentication", "httpbin", "{spec: {portLevelMtls: {8084: {mode: STRICT}}}}"
            ),
        ),
    ),
    wrong=(
        Wrong(
            "tell clients to speak plaintext",
            apply(d.without_tls("web-h")),
            hint="the symptom is gone, and so is mTLS",
        ),
        Wrong(
            "accept both for the rest of the workload",
            patch("peerauthentication", "httpbin", "{spec: {mtls: {mode: PERMISSIVE}}}"),
            hint="has mode DISABLE for port 8084",
        ),
        Wrong(
            "name the port tcp-web",
            patch(
                "service",
                "web-h",
                "{spec: {ports: [{port: 8084, targetPort: 8084, name: tcp-web}]}}",
            ),
            hint="has mode DISABLE for port 8084",
        ),
    ),
    remember="A cluster of a headless Service has one transport socket; only one with endpoints "
    "of its own has one for each of them.",
)
