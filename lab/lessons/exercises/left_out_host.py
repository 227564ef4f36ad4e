"""A Sidecar resource that leaves a Service out."""

from __future__ import annotations

from collections.abc import Iterator

from lab import declare as d
from lab.lessons.lesson import Asked, Cause, Lesson, Repair, Steps, Wrong, apply, patch
from lab.lessons.now import Now
from lab.record import held

HTTPBIN = d.service("httpbin", 8000, target=8080)


def hosts(listed: str) -> str:
    """Return the command that changes the hosts that the client's sidecar is told of."""
    return patch("sidecar", "client", f"{{spec: {{egress: [{{hosts: {listed}}}]}}}}")


def hints(now: Now) -> Iterator[Steps]:
    """Yield why the client's sidecar does not know the Service."""
    known = held.scope(now.of("Sidecar"), {"app": "client"})
    if known is not None and not held.in_scope(known, "httpbin", now.namespace):
        yield (
            "Ask the client's sidecar for the Service: "
            "istioctl proxy-config cluster deploy/client --port 8000",
            "It does not know httpbin: the Sidecar resource of the client names "
            f"{', '.join(known)}, which is not its full name. What a sidecar does not know it "
            "passes on as it is.",
            "Egress hosts are NAMESPACE/HOST, with a host's full name, as in "
            f"./httpbin.{now.namespace}.svc.cluster.local; ./* is every host of its own namespace.",
        )
    if now.tls("httpbin") == "DISABLE":
        yield (
            "Look at the DestinationRule of httpbin.",
            "Its TLS mode is DISABLE: the client's sidecar speaks plaintext.",
            "Remove it.",
        )


LESSON = Lesson(
    name="left_out_host",
    title="Less memory, and nothing else",
    minutes=12,
    learned="tell a call that a sidecar carries from one that it passes on",
    report="To save memory we limited what client's sidecar is told. Everything works as before. "
    "But in the graph its calls to httpbin have lost the lock that it draws for mutual TLS.",
    failure="sidecar_scope",
    recorded="limited",
    world=d.world(
        "lesson",
        "during",
        "the client's Sidecar names no host of this namespace",
        ("client", "httpbin"),
        (HTTPBIN,),
        "PERMISSIVE",
        objects=d.sidecar_scope("client", "istio-system/*"),
    ),
    asked=(
        Asked(
            "get",
            "client",
            "httpbin:8000",
            "curl -sS http://httpbin:8000/anything/{marker}",
            "mutual TLS",
        ),
    ),
    causes=(
        Cause(
            "the client's sidecar is not told of httpbin",
            "It has no cluster for httpbin, and its log names PassthroughCluster.",
        ),
        Cause(
            "the graph is drawn from metrics that are left out to save memory",
            "The packets can be read: it is no error of the graph's.",
        ),
        Cause(
            "the server accepts plaintext",
            "It does, and to accept it is no reason for a client's sidecar to send it.",
        ),
        Cause(
            "the client's certificate has expired",
            "Then a call over TLS would fail; this one is answered in plaintext.",
        ),
    ),
    look=(
        "kubectl get sidecars.networking.istio.io,peerauthentication -o yaml",
        "kubectl exec deploy/client -c client -- curl -sS -i http://httpbin:8000/get",
        "kubectl logs deploy/client -c istio-proxy --tail 3  # upstream_cluster: where it went",
        "istioctl proxy-config cluster deploy/client --port 8000  # no row: not known",
        "istioctl analyze",
    ),
    hints=hints,
    solution=Repair("name the hosts of the own namespace", hosts('["./*", "istio-system/*"]')),
    others=(
        Repair("remove the Sidecar", "kubectl delete sidecars.networking.istio.io client"),
        Repair("name all hosts", hosts('["*/*"]')),
        Repair(
            "name the one host by its full name",
            hosts('["istio-system/*", "*/httpbin.{namespace}.svc.cluster.local"]'),
        ),
    ),
    wrong=(
        Wrong(
            "a rule by which clients speak mTLS",
            apply(d.destination_rule("httpbin", "{tls: {mode: ISTIO_MUTUAL}}")),
            hint="It does not know httpbin",
        ),
        Wrong(
            "demand mTLS of the server",
            patch("peerauthentication", "default", "{spec: {mtls: {mode: STRICT}}}"),
            hint="It does not know httpbin",
        ),
        Wrong(
            "name the host by the Service's name",
            hosts('["istio-system/*", "./httpbin"]'),
            hint="which is not its full name",
        ),
        Wrong("name another namespace", hosts('["default/*"]'), hint="default/*"),
    ),
    remember="A Sidecar resource is a list of what is known. What is left out is reached all the "
    "same, in plaintext, as long as unknown traffic is passed on. Without the resource "
    "a sidecar knows every host, at the price of its memory.",
)
