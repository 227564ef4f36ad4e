"""A PeerAuthentication for the Service's port number, which is not the workload's."""

from __future__ import annotations

from collections.abc import Iterator

from lab import declare as d
from lab.lessons.lesson import Asked, Cause, Lesson, Repair, Steps, Wrong, apply, patch
from lab.lessons.now import Now

HTTPBIN = d.service("httpbin", 8000, target=8080)
GET = "curl -sS http://httpbin:8000/anything/{marker}"


def ports(listed: str) -> str:
    """Return the command that changes the policy's ports."""
    return patch("peerauthentication", "httpbin", f"{{spec: {{portLevelMtls: {listed}}}}}")


def hints(now: Now) -> Iterator[Steps]:
    """Yield why plaintext is accepted."""
    policy = now.get("PeerAuthentication", "httpbin")
    if now.mode("httpbin", 8080) == "STRICT":
        return
    told = "no policy selects httpbin"
    if policy:
        numbers = ", ".join(map(str, policy["spec"].get("portLevelMtls") or {})) or "no port"
        told = (
            f"The policy httpbin names {numbers}, and its pods listen at 8080: for that port the "
            f"mode is {now.mode('httpbin', 8080)}. A workload's own policy counts, and not that "
            f"of its "
            "namespace."
        )
    yield (
        "Ask the server's sidecar which modes it knows for the port at which the application "
        "listens: istioctl x describe pod, as in lesson.look(), or istioctl proxy-config listener "
        "deploy/httpbin --port 15006",
        told,
        "Numbers of portLevelMtls are those at which the workload listens, and not the Service's.",
    )


LESSON = Lesson(
    name="policy_number",
    title="STRICT, and yet everybody gets in",
    minutes=10,
    learned="check that a policy is in force for the port that it is meant for",
    report="We have closed port 8000 of httpbin with a PeerAuthentication, mode STRICT. The "
    "auditor's pod stranger has no sidecar and still reads everything.",
    failure="wrong_version_number",
    recorded="numbered",
    world=d.world(
        "lesson",
        "during",
        "STRICT for the number that the Service has, PERMISSIVE for all others",
        ("client", "stranger", "httpbin"),
        (HTTPBIN,),
        objects=d.port_mtls("httpbin", 8000, "STRICT", mode="PERMISSIVE"),
    ),
    asked=(
        Asked("audit", "stranger", "httpbin:8000", GET, "refused"),
        Asked("member", "client", "httpbin:8000", GET, "mutual TLS"),
    ),
    causes=(
        Cause(
            "the policy names a port at which the pods do not listen",
            "They listen at 8080; 8000 is the Service's number, which no sidecar of a server sees.",
        ),
        Cause(
            "the policy does not select the pods",
            "Its labels are theirs: kubectl get pods -l app=httpbin.",
        ),
        Cause(
            "a policy takes effect only with new pods",
            "istiod tells it to running sidecars within a second.",
        ),
        Cause(
            "STRICT lets plaintext in from the same namespace",
            "STRICT asks for a certificate of the mesh, wherever the caller is.",
        ),
    ),
    look=(
        "kubectl get service,peerauthentication -o yaml",
        "kubectl exec deploy/stranger -- curl -sS -i http://httpbin:8000/get",
        "istioctl x describe pod $(kubectl get pod -l app=httpbin -o "
        'jsonpath="{.items[0].metadata.name}")',
    ),
    hints=hints,
    solution=Repair("name the port at which the pods listen", ports("{8080: {mode: STRICT}}")),
    others=(
        Repair(
            "STRICT for all ports of the workload",
            patch("peerauthentication", "httpbin", "{spec: {mtls: {mode: STRICT}}}"),
        ),
        Repair(
            "STRICT for the namespace, and no policy of the workload's own",
            f"kubectl delete peerauthentication httpbin\n{apply(d.peer_authentication('STRICT'))}",
        ),
    ),
    wrong=(
        Wrong(
            "STRICT for the namespace, beside the workload's policy",
            apply(d.peer_authentication("STRICT")),
            hint="A workload's own policy counts",
        ),
        Wrong(
            "a rule by which clients speak mTLS",
            apply(d.destination_rule("httpbin", "{tls: {mode: ISTIO_MUTUAL}}")),
            hint="its pods listen at 8080",
        ),
        Wrong("name port 80 too", ports("{80: {mode: STRICT}}"), hint="its pods listen at 8080"),
    ),
    remember="portLevelMtls has the numbers at which pods listen. Another number is accepted "
    "without a warning, and without effect. Only a call from outside of the mesh shows that.",
)
