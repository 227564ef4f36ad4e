"""The three strangers of every STRICT claim, and their controls (RFC 8446, 4.4.2 and 6.2).

In plaintext, with TLS and no certificate, with a certificate of a CA of nobody's: each must
be refused for its own reason. That the refusals tell of the server and not of the probe is
shown by the same probe with a mesh certificate, and by the plaintext one where it may pass.
"""

from __future__ import annotations

from lab.judge.checks import all_of, broken_off, let_in, no_filter_chain, tls_refused
from lab.model.scenario import Call

MEMBER = "--cert /etc/mesh-certificates/cert-chain.pem --key /etc/mesh-certificates/key.pem"
NAMES = ("plain-stranger", "no-certificate", "foreign-certificate", "mesh-certificate")

refused = all_of(
    let_in("mesh-certificate"),  # or a refusal would tell of the probe
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
"""All three are refused, each for its own reason, and the member is not."""


def calls(
    world: str, to: str, port: int, plain: str, send: str, *, alpn: str = "istio"
) -> tuple[Call, ...]:
    """The four calls; the world needs the workloads `stranger` and `member`.

    plain: the plaintext stranger's command. send: what the probes send once they are let in,
    and what must bring the marker back.
    """
    sni = f"outbound_.{port}_._.{to}.{{namespace}}.svc.cluster.local"
    probe = f"tls-probe {to} {port} --alpn {alpn} --sni {sni} --send '{send}'"
    typed = (
        (NAMES[0], "stranger", plain),
        (NAMES[1], "stranger", probe),
        (NAMES[2], "stranger", f"{probe} --stdin"),
        (NAMES[3], "member", f"{probe} {MEMBER}"),
    )
    return tuple(Call(name, world, source, to, port, command) for name, source, command in typed)


def http(path: str, host: str) -> str:
    """A GET as the probe's `--send` takes it."""
    return rf"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"
