"""REST services over HTTP/1.1 are secured by two rules: the post's positive control."""

from lab.declare import strangers
from lab.judge.checks import (
    all_of,
    answered,
    api_said,
    applied,
    identities,
    left_client,
    no_certificate_secrets,
    readable,
    secured,
)
from lab.model.failure import Answer, Claim, Control, Failure, Pin
from lab.model.scenario import DESTINATION_RULE, POLICY, Call, Port, Service, World

URL = "http://httpbin:8000"
GET = f"curl -sS {URL}/anything/{{marker}}"
CRUD = ("get", "post", "put", "patch", "delete")
HTTPBIN = (Service("httpbin", "httpbin", (Port("http", 8000, 8080),)),)
OLD_POLICY = """\
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {name: default, namespace: {namespace}}
spec: {peers: [{mtls: {}}]}
"""


def _call(name: str, world: str, command: str, source: str = "client") -> Call:
    return Call(name, world, source, "httpbin", 8000, command)


def _crud(world: str, prefix: str = "", verbs: tuple[str, ...] = CRUD) -> tuple[Call, ...]:
    body = "-d marker={marker}"
    typed = {verb: f"curl -sS -X {verb.upper()} {body} {URL}/{verb}" for verb in verbs} | {
        "get": GET
    }
    return tuple(_call(f"{prefix}{verb}", world, typed[verb]) for verb in verbs)


def _api(name: str, command: str, manifest: str) -> Call:
    return Call(name, "posted", "api", "httpbin", 0, f"kubectl apply -f {command}.yaml", manifest)


BOTH = ("client", "httpbin")
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
        World("plain", "before", "no mTLS on either side", BOTH, HTTPBIN, "DISABLE", "DISABLE"),
        World(
            "permissive", "before", "both accepted", ("stranger", "httpbin"), HTTPBIN, "PERMISSIVE"
        ),
        World(
            "posted",
            "during",
            "the post's two rules, in today's API",
            (*BOTH, "stranger", "member"),
            HTTPBIN,
            "{mtls}",
            "{rule}",
        ),
        World("auto", "after", "without the post's DestinationRule", BOTH, HTTPBIN, "STRICT"),
    ),
    calls=(
        *_crud("plain", "plain-", CRUD[:2]),
        _call("permissive-stranger", "permissive", GET, "stranger"),
        _api("old-policy", "policy", OLD_POLICY),
        _api("rule", "destination-rule", DESTINATION_RULE),
        *_crud("posted"),
        *strangers.calls(
            "posted", "httpbin", 8000, GET, strangers.http("/anything/{marker}", "httpbin")
        ),
        *_crud("auto", "auto-", CRUD[:2]),
    ),
    claims=(
        Claim(
            "C0",
            "REST works, and is secured by mutual TLS",
            as_posted=Answer(
                "Do GET, POST, PUT, PATCH and DELETE work, secured on the wire?",
                all_of(answered(*CRUD, status=200), secured(*CRUD)),
                instead=all_of(left_client(*CRUD), answered(*CRUD, status=200), readable(*CRUD)),
                shows="post",
            ),
            today=Answer(
                "Are all three strangers refused?",
                strangers.refused,
                instead=open_to_strangers,
                shows="plain-stranger",
            ),
        ),
        Claim(
            "C0a",
            "a Policy makes every service accept only mTLS",
            as_posted=Answer(
                "Does the API server still take the post's Policy?",
                applied("old-policy"),
                otherwise=api_said("old-policy", 'no matches for kind "Policy"'),
                shows="old-policy",
            ),
            today=Answer(
                "Does PeerAuthentication STRICT do it?",
                strangers.refused,
                instead=open_to_strangers,
                shows="plain-stranger",
            ),
        ),
        Claim(
            "C0b",
            "a DestinationRule makes every client use mTLS",
            as_posted=Answer(
                "Is the post's rule taken as it stands, and obeyed?",
                all_of(applied("rule"), secured(*CRUD)),
                instead=readable(*CRUD),
                shows="post",
            ),
            today=Answer(
                "Is it the same without the rule (auto mTLS)?",
                all_of(answered("auto-get", status=200), secured("auto-get", "auto-post")),
                instead=readable("auto-get", "auto-post"),
                shows="auto-post",
            ),
        ),
        Claim(
            "C0c",
            "nobody manages certificates by hand",
            as_posted=Answer(
                "Does each proxy hold its own identity, from one issuer?",
                identities("posted", "client", "httpbin"),
                shows="get",
            ),
            today=Answer(
                "Without a Secret in the namespace?", no_certificate_secrets("posted"), shows="get"
            ),
        ),
    ),
    controls=(
        Control("REST works without mTLS", answered("plain-get", "plain-post", status=200)),
        Control(
            "without mTLS the marker is read on the wire",
            readable("plain-get", "plain-post"),
            plane="wire",
        ),
        Control(
            "the plaintext stranger gets through where it may",
            answered("permissive-stranger", status=200),
        ),
    ),
    pins=(
        Pin("C0", ("reproduced", "reproduced"), "the post's positive case holds today"),
        Pin("C0a", ("fails otherwise", "reproduced"), "Policy was removed in Istio 1.6"),
        Pin("C0b", ("reproduced", "reproduced"), "v1alpha3 is still served; auto mTLS since 1.5"),
        Pin("C0c", ("reproduced", "reproduced"), "istiod signs for each service account"),
    ),
    parameters=POLICY,
    try_next=(
        "make reproduce FAILURE=rest_mtls PARAMS='mtls=DISABLE rule=DISABLE'",
        "istio-lab show rest_mtls",
    ),
)
