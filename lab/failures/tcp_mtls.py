"""A TCP port that Istio is said to ignore, and one that really goes in plaintext."""

from lab.checks import (
    all_of,
    answered,
    broken_off,
    left_client,
    no_filter_chain,
    readable,
    secured,
    tls_refused,
    under,
    went_to,
)
from lab.failure import Answer, Call, Claim, Control, Failure, Parameter, Pin, World

SNI = "--alpn istio --sni outbound_.9000_._.tcp-echo.{namespace}.svc.cluster.local"
MEMBER = "--cert /etc/mesh-certificates/cert-chain.pem --key /etc/mesh-certificates/key.pem"
PROBE = f"tls-probe tcp-echo 9000 {SNI} --send '{{marker}}\\n'"


def _say(name: str, world: str, port: int, source: str = "client") -> Call:
    return Call(name, world, source, "tcp-echo", port, f"say tcp-echo {port} {{marker}}")


def _probe(name: str, more: str = "", source: str = "stranger") -> Call:
    return Call(name, "posted", source, "tcp-echo", 9000, f"{PROBE} {more}".strip())


FAILURE = Failure(
    name="tcp_mtls",
    title="A TCP Service port named tcp-foo, and one named udp-foo",
    symptom="The graph shows a lock for httpbin and none for tcp-echo.",
    sources=(
        "https://github.com/istio/istio/issues/17110",
        "https://github.com/kiali/kiali/issues/1709",
        "https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/",
    ),
    worlds=(
        World(
            "plain",
            "before",
            "no mTLS on either side",
            ("client", "tcp-echo"),
            "DISABLE",
            "DISABLE",
        ),
        World(
            "posted",
            "during",
            "the post's two rules, in today's API",
            ("client", "stranger", "member", "tcp-echo"),
            "STRICT",
            "ISTIO_MUTUAL",
        ),
        World(
            "permissive",
            "after",
            "the post's rule, and a server that accepts both",
            ("client", "stranger", "tcp-echo"),
            "PERMISSIVE",
            "ISTIO_MUTUAL",
        ),
    ),
    calls=(
        _say("plain", "plain", 9000),
        _say("tcp-foo", "posted", 9000),
        _say("udp-foo-strict", "posted", 9001),
        _say("plain-stranger", "posted", 9000, "stranger"),
        _probe("no-certificate"),
        _probe("foreign-certificate", "--stdin"),
        _probe("mesh-certificate", MEMBER, "member"),
        _say("tcp-foo-permissive", "permissive", 9000),
        _say("udp-foo", "permissive", 9001),
        _say("permissive-stranger", "permissive", 9000, "stranger"),
    ),
    claims=(
        Claim(
            "C2",
            "a port named tcp-foo is ignored by Istio and not secured",
            as_posted=Answer(
                "Can the text sent to tcp-foo be read on the wire?",
                readable("tcp-foo"),
                instead=all_of(
                    left_client("tcp-foo"),
                    answered("tcp-foo"),
                    secured("tcp-foo", "tcp-foo-permissive"),
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
                ),
            ),
            today=Answer(
                "Does a TCP port named udp-foo go in plaintext, in spite of the rule?",
                all_of(
                    answered("udp-foo"),
                    readable("udp-foo"),
                    went_to("udp-foo", cluster="PassthroughCluster"),
                    readable("udp-foo-strict"),
                    under("STRICT", "posted", broken_off("udp-foo-strict")),
                ),
                instead=all_of(answered("udp-foo"), secured("udp-foo")),
            ),
            shows="tcp-foo",
        ),
    ),
    controls=(
        Control("tcp-echo answers without mTLS", answered("plain")),
        Control("without mTLS the marker is read on the wire", readable("plain")),
        Control("tcp-echo answers where both are accepted", answered("tcp-foo-permissive")),
        Control(
            "the plaintext stranger gets through where it may", answered("permissive-stranger")
        ),
    ),
    pins=(
        Pin(
            "C2",
            "not reproduced",
            "reproduced",
            "mTLS covers TCP, as it did in 1.2; a port taken for UDP passes through",
        ),
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
        "make reproduce FAILURE=tcp_mtls PARAMS='mtls=DISABLE rule=DISABLE'",
        "python -m lab show tcp_mtls",
    ),
)
