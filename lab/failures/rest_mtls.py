"""REST services over HTTP/1.1 are secured by two rules: the post's positive control."""

from lab.checks import (
    all_of,
    answered,
    api_said,
    applied,
    broken_off,
    identities,
    left_client,
    no_certificate_secrets,
    no_filter_chain,
    readable,
    secured,
    tls_refused,
)
from lab.failure import (
    DESTINATION_RULE,
    Answer,
    Call,
    Claim,
    Control,
    Failure,
    Parameter,
    Pin,
    World,
)

URL = "http://httpbin:8000"
CRUD = ("get", "post", "put", "patch", "delete")
PROBE = "tls-probe httpbin 8000"
SNI = "--alpn istio --sni outbound_.8000_._.httpbin.{namespace}.svc.cluster.local"
MEMBER = "--cert /etc/mesh-certificates/cert-chain.pem --key /etc/mesh-certificates/key.pem"
REQUEST = r"--send 'GET /anything/{marker} HTTP/1.1\r\nHost: httpbin\r\n\r\n'"
OLD_POLICY = """\
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {{name: default, namespace: {namespace}}}
spec: {{peers: [{{mtls: {{}}}}]}}
"""


def _call(name: str, world: str, command: str, source: str = "client") -> Call:
    return Call(name, world, source, "httpbin", 8000, command)


def _crud(world: str, prefix: str = "") -> tuple[Call, ...]:
    get = _call(f"{prefix}get", world, f"curl -sS {URL}/anything/{{marker}}")
    return (
        get,
        *(
            _call(
                f"{prefix}{verb}",
                world,
                f"curl -sS -X {verb.upper()} -d marker={{marker}} {URL}/{verb}",
            )
            for verb in CRUD[1:]
        ),
    )


refused = all_of(
    answered("mesh-certificate"),  # or a refusal would tell of the probe
    broken_off("plain-stranger"),
    no_filter_chain("plain-stranger"),
    tls_refused(
        "no-certificate",
        outcomes=("tls_client_certificate_required",),
        counter="ssl.fail_verify_no_cert",
    ),
    tls_refused(
        "foreign-certificate",
        outcomes=("tls_untrusted_issuer", "tls_refused"),
        counter="ssl.fail_verify_error",
    ),
)
open_to_strangers = answered("plain-stranger", status=200)

FAILURE = Failure(
    name="rest_mtls",
    title="REST over HTTP/1.1 with namespace-wide mutual TLS",
    symptom="Every CRUD call works, and nobody without a mesh certificate gets in.",
    sources=(
        "https://istio.io/latest/docs/tasks/security/authentication/authn-policy/",
        "https://www.rfc-editor.org/rfc/rfc8446#section-4.4.2",
    ),
    worlds=(
        World(
            "plain", "before", "no mTLS on either side", ("client", "httpbin"), "DISABLE", "DISABLE"
        ),
        World("permissive", "before", "both accepted", ("stranger", "httpbin"), "PERMISSIVE", ""),
        World(
            "posted",
            "during",
            "the post's two rules, in today's API",
            ("client", "stranger", "member", "httpbin"),
            "STRICT",
            "ISTIO_MUTUAL",
        ),
        World(
            "auto",
            "after",
            "without the post's DestinationRule",
            ("client", "httpbin"),
            "STRICT",
            "",
        ),
    ),
    calls=(
        *_crud("plain", "plain-")[:2],
        _call(
            "permissive-stranger", "permissive", f"curl -sS {URL}/anything/{{marker}}", "stranger"
        ),
        Call(
            "old-policy", "posted", "api", "httpbin", 0, "kubectl apply -f policy.yaml", OLD_POLICY
        ),
        Call(
            "rule",
            "posted",
            "api",
            "httpbin",
            0,
            "kubectl apply -f destination-rule.yaml",
            DESTINATION_RULE,
        ),
        *_crud("posted"),
        _call("plain-stranger", "posted", f"curl -sS {URL}/anything/{{marker}}", "stranger"),
        _call("no-certificate", "posted", f"{PROBE} {SNI} {REQUEST}", "stranger"),
        _call("foreign-certificate", "posted", f"{PROBE} --stdin {SNI} {REQUEST}", "stranger"),
        _call("mesh-certificate", "posted", f"{PROBE} {MEMBER} {SNI} {REQUEST}", "member"),
        *_crud("auto", "auto-")[:2],
    ),
    claims=(
        Claim(
            "C0",
            "REST works, and is secured by mutual TLS",
            as_posted=Answer(
                "Do GET, POST, PUT, PATCH and DELETE work, secured on the wire?",
                all_of(answered(*CRUD, status=200), secured(*CRUD)),
                instead=all_of(left_client(*CRUD), answered(*CRUD, status=200), readable(*CRUD)),
            ),
            today=Answer("Are all three strangers refused?", refused, instead=open_to_strangers),
            shows="post",
        ),
        Claim(
            "C0a",
            "a Policy makes every service accept only mTLS",
            as_posted=Answer(
                "Does the API server still take the post's Policy?",
                applied("old-policy"),
                otherwise=api_said("old-policy", 'no matches for kind "Policy"'),
            ),
            today=Answer(
                "Does PeerAuthentication STRICT do it?", refused, instead=open_to_strangers
            ),
            shows="plain-stranger",
        ),
        Claim(
            "C0b",
            "a DestinationRule makes every client use mTLS",
            as_posted=Answer(
                "Is the post's rule taken as it stands, and obeyed?",
                all_of(applied("rule"), secured(*CRUD)),
                instead=readable(*CRUD),
            ),
            today=Answer(
                "Is it the same without the rule (auto mTLS)?",
                all_of(answered("auto-get", status=200), secured("auto-get", "auto-post")),
                instead=readable("auto-get", "auto-post"),
            ),
            shows="auto-post",
        ),
        Claim(
            "C0c",
            "nobody manages certificates by hand",
            as_posted=Answer(
                "Does each proxy hold its own identity, from one issuer?",
                identities("posted", "client", "httpbin"),
            ),
            today=Answer("Without a Secret in the namespace?", no_certificate_secrets("posted")),
            shows="get",
        ),
    ),
    controls=(
        Control("REST works without mTLS", answered("plain-get", "plain-post", status=200)),
        Control("without mTLS the marker is read on the wire", readable("plain-get", "plain-post")),
        Control(
            "the plaintext stranger gets through where it may",
            answered("permissive-stranger", status=200),
        ),
    ),
    pins=(
        Pin("C0", "reproduced", "reproduced", "the post's positive case holds today"),
        Pin("C0a", "fails otherwise", "reproduced", "Policy was removed in Istio 1.6"),
        Pin("C0b", "reproduced", "reproduced", "v1alpha3 is still served; auto mTLS since 1.5"),
        Pin("C0c", "reproduced", "reproduced", "istiod signs for each service account"),
    ),
    parameters={
        "mtls": Parameter(
            "PeerAuthentication mode of the post's namespace",
            "STRICT",
            ("STRICT", "PERMISSIVE", "DISABLE"),
        ),
        "rule": Parameter(
            "TLS mode of the post's DestinationRule", "ISTIO_MUTUAL", ("ISTIO_MUTUAL", "DISABLE")
        ),
    },
    try_next=(
        "make reproduce FAILURE=rest_mtls PARAMS='mtls=DISABLE rule=DISABLE'",
        "python -m lab show rest_mtls",
    ),
)
