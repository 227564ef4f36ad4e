"""A DENY of a method that closes a port of TCP."""

from __future__ import annotations

from collections.abc import Iterator

from lab import declare as d
from lab.lessons.lesson import Asked, Cause, Lesson, Repair, Steps, Wrong, patch
from lab.lessons.now import Now

ECHO = d.service("tcp-echo", 9000, "tcp-echo")
HTTPBIN = d.service("httpbin", 8000, target=8080)
NO_POST = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-post}
spec:
  action: DENY
  rules: [{to: [{operation: {methods: [POST]}}]}]
"""


def policy(spec: str) -> str:
    """Return the command that changes the policy."""
    return patch("authorizationpolicy", "no-post", f"{{spec: {spec}}}")


def hints(now: Now) -> Iterator[Steps]:
    """Yield what the policy denies, and what it does not deny any more."""
    one = now.get("AuthorizationPolicy", "no-post")
    if one is None:
        yield (
            "Try what the policy was for: kubectl exec deploy/client -c client -- curl -sS -X "
            "POST -d x=y http://httpbin:8000/post",
            "POST is no longer denied at httpbin: the policy is gone.",
            "Keep the policy, and let it hold for HTTP only.",
        )
        return
    chosen = (one["spec"].get("selector") or {}).get("matchLabels") or {}
    rules = one["spec"].get("rules") or [{}]
    ports = [
        port
        for rule in rules
        for to in rule.get("to") or ()
        for port in to["operation"].get("ports", ())
    ]
    if chosen.get("app", "tcp-echo") == "tcp-echo" and (not ports or "9000" in ports):
        yield (
            "Ask who ended the connection: kubectl logs deploy/tcp-echo -c istio-proxy --tail 3. "
            "The handshake was whole, and the line says rbac_access_denied.",
            "The policy no-post holds for tcp-echo too. TCP has no methods: that field is "
            "dropped, and the rest of the rule, which is nothing, matches every connection.",
            "Let the policy select the workload that speaks HTTP, or name its port.",
        )
    elif chosen.get("app", "httpbin") != "httpbin" or (ports and "8080" not in ports):
        yield (
            "Try what the policy was for: kubectl exec deploy/client -c client -- curl -sS -X "
            "POST -d x=y http://httpbin:8000/post",
            "POST is no longer denied at httpbin: the policy does not hold there.",
            "httpbin's pods are labelled app: httpbin, and listen at 8080.",
        )


LESSON = Lesson(
    name="method_on_tcp",
    title="The policy for HTTP, and the port that died",
    minutes=12,
    learned="tell a refusal by policy from one by mTLS, and keep policies of HTTP off TCP",
    report="tcp-echo is dead: client connects, and is cut off. It must be mTLS: we turned on "
    "STRICT last week. Yesterday's change, a policy that nobody may POST, is for HTTP and has "
    "nothing to do with it.",
    failure="authorization_or_mtls",
    recorded="tcp",
    world=d.world(
        "lesson",
        "during",
        "mTLS is demanded, and POST is denied",
        ("client", "tcp-echo", "httpbin"),
        (ECHO, HTTPBIN),
        "STRICT",
        objects=NO_POST,
    ),
    asked=(
        Asked("echo", "client", "tcp-echo:9000", "say tcp-echo 9000 {marker}", "mutual TLS"),
        Asked(
            "post",
            "client",
            "httpbin:8000",
            "curl -sS -X POST -d marker={marker} http://httpbin:8000/post",
            "refused",
        ),
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
            "the policy denies every connection of TCP, as TCP has no methods",
            "The server's line has the client's identity and rbac_access_denied.",
        ),
        Cause(
            "the client's sidecar does not use mTLS for TCP",
            "The server's line has the client's identity: the handshake was whole.",
        ),
        Cause(
            "STRICT takes no TCP",
            "It takes any TCP connection inside mTLS.",
        ),
        Cause(
            "the application has crashed",
            "It is ready, and its sidecar ends the connection before it is asked.",
        ),
    ),
    look=(
        "kubectl get authorizationpolicy,peerauthentication -o yaml",
        "kubectl exec deploy/client -c client -- say tcp-echo 9000 hello",
        "kubectl logs deploy/tcp-echo -c istio-proxy --tail 3",
    ),
    hints=hints,
    solution=Repair(
        "let the policy select httpbin", policy("{selector: {matchLabels: {app: httpbin}}}")
    ),
    others=(
        Repair(
            "name httpbin's port beside the method",
            policy('{rules: [{to: [{operation: {methods: [POST], ports: ["8080"]}}]}]}'),
        ),
    ),
    wrong=(
        Wrong(
            "accept plaintext",
            patch("peerauthentication", "default", "{spec: {mtls: {mode: PERMISSIVE}}}"),
            hint="TCP has no methods",
        ),
        Wrong(
            "remove the policy",
            "kubectl delete authorizationpolicy no-post",
            hint="POST is no longer denied",
        ),
        Wrong(
            "let the policy select another workload",
            policy("{selector: {matchLabels: {app: client}}}"),
            hint="POST is no longer denied",
        ),
    ),
    remember="A field of HTTP in a DENY is dropped for TCP, and the rest denies more than was "
    "meant. The server's own log tells a policy from a handshake.",
)
