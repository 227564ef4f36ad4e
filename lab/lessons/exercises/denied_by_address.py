"""A DENY by identity that is walked around by the pod's own address."""

from __future__ import annotations

from collections.abc import Iterator

from lab import declare as d
from lab.lessons.lesson import Asked, Cause, Lesson, Repair, Steps, Wrong, apply
from lab.lessons.now import Now

HTTPBIN = d.service("httpbin", 8000, target=8080)
FRIEND = d.Variant("friend", of="client")
CLIENT = "cluster.local/ns/{namespace}/sa/client"
DENIED = f"{{source: {{principals: [{CLIENT}]}}}}"
GET = "curl -sS http://httpbin:8000/anything/{marker}"


def deny(sources: str, operation: str = "") -> str:
    """Return the policy that denies sources."""
    to = f", to: [{{operation: {{{operation}}}}}]" if operation else ""
    return d.authorization_policy("no-client", "httpbin", "DENY", f"{{from: [{sources}]{to}}}")


def hints(now: Now) -> Iterator[Steps]:
    """Yield why the policy does not see who calls."""
    if now.mode("httpbin", 8080) == "DISABLE":
        yield (
            "Look at what crosses between friend and httpbin.",
            "The mode of httpbin is DISABLE: nobody shows an identity, and a DENY of one matches "
            "nobody.",
            "Go back to a mode in which clients use mTLS.",
        )
    elif now.mode("httpbin", 8080) != "STRICT":
        yield (
            "Compare the two lines of httpbin's sidecar, of the call by name and of that by "
            "address: kubectl logs deploy/httpbin -c istio-proxy --tail 5",
            "By the pod's address the client's sidecar passes the call on in plaintext. httpbin "
            "accepts that, and such a call shows no identity: a DENY of an identity does not "
            "match it.",
            "Demand an identity of every caller, by mTLS or by the policy. In a policy, each "
            "source of a list is enough to match; the fields of one source must match together.",
        )


LESSON = Lesson(
    name="denied_by_address",
    title="Denied at the front door",
    minutes=15,
    learned="write a policy by identity that nobody walks around",
    report="client may not call httpbin, and by its name it gets 403, as it should. But somebody "
    "showed me that the same client gets 200 if it asks the pod's address. friend is allowed.",
    failure="deny_bypassed",
    recorded="by-address",
    world=d.world(
        "lesson",
        "during",
        "a DENY for the client, and mTLS is not demanded",
        ("client", FRIEND, "httpbin"),
        (HTTPBIN,),
        "PERMISSIVE",
        objects=deny(DENIED),
    ),
    asked=(
        Asked(
            "by-address",
            "client",
            "{ip:httpbin}:8080",
            "curl -sS http://{ip:httpbin}:8080/anything/{marker}",
            "refused",
        ),
        Asked("by-name", "client", "httpbin:8000", GET, "refused"),
        Asked("friend", "friend", "httpbin:8000", GET, "mutual TLS"),
    ),
    causes=(
        Cause(
            "the call by address shows no identity, and a DENY of an identity does not match it",
            "It crosses in plaintext: the server's sidecar sees no certificate.",
        ),
        Cause(
            "policies hold for Services, and not for pods",
            "The server's sidecar checks every call that comes to the pod.",
        ),
        Cause(
            "the call by address goes past the server's sidecar",
            "Its line is in that sidecar's log, inbound and without a peer.",
        ),
        Cause(
            "the policy has not come to the proxy yet",
            "By name it refuses the same client at the same time.",
        ),
    ),
    look=(
        "kubectl get authorizationpolicy,peerauthentication -o yaml",
        "kubectl exec deploy/client -c client -- curl -sS -i http://httpbin:8000/get",
        "kubectl exec deploy/client -c client -- curl -sS -i http://$(kubectl get pod -l "
        "app=httpbin "
        '-o jsonpath="{.items[0].status.podIP}"):8080/get',
        "kubectl logs deploy/httpbin -c istio-proxy --tail 5",
    ),
    hints=hints,
    solution=Repair("demand mTLS of every caller", apply(d.peer_authentication("STRICT"))),
    others=(
        Repair(
            "deny, as a second source, whoever has no identity",
            apply(deny(f'{DENIED}, {{source: {{notPrincipals: ["*"]}}}}')),
        ),
        Repair(
            "allow by identity: who shows none is not allowed",
            apply(
                d.authorization_policy(
                    "friends",
                    "httpbin",
                    "ALLOW",
                    f"{{from: [{DENIED.replace('sa/client', 'sa/friend')}]}}",
                )
            ),
        ),
    ),
    wrong=(
        Wrong(
            "add it to the same source",
            apply(deny(f'{{source: {{principals: [{CLIENT}], notPrincipals: ["*"]}}}}')),
            hint="the fields of one source must match together",
        ),
        Wrong(
            "deny it at the port",
            apply(deny(DENIED, 'ports: ["8080"]')),
            hint="such a call shows no identity",
        ),
        Wrong(
            "turn mTLS off, so that all callers are alike",
            apply(d.peer_authentication("DISABLE")),
            hint="a DENY of one matches nobody",
        ),
    ),
    remember="Without mTLS there is no identity. A DENY by identity needs STRICT beside it, or a "
    "rule for those who show none.",
)
