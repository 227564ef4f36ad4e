"""The three strangers of every STRICT claim, and their controls (RFC 8446, 4.4.2 and 6.2).

In plaintext, with TLS and no certificate, with a certificate of a CA of nobody's: each must
be refused for its own reason. That the refusals tell of the server and not of the probe is
shown by the same probe with a mesh certificate, and by the plaintext one where it may pass.
"""

from __future__ import annotations

from lab.declare.calls import call
from lab.judge.checks import all_of, broken_off, let_in, no_filter_chain, tls_refused
from lab.model.failure import Check
from lab.model.scenario import Call, Service

MEMBER = "--cert /etc/mesh-certificates/cert-chain.pem --key /etc/mesh-certificates/key.pem"
NAMES = ("plain-stranger", "no-certificate", "foreign-certificate", "mesh-certificate")


def misses_certificate(*names: str) -> Check:
    """Return the check that the server's sidecar refused TLS for want of a certificate."""
    outcomes = ("tls_client_certificate_required",)
    return tls_refused(*names, outcomes=outcomes, counter="ssl.fail_verify_no_cert")


refused = all_of(
    let_in("mesh-certificate"),  # or a refusal would tell of the probe
    broken_off("plain-stranger"),
    no_filter_chain("plain-stranger"),
    misses_certificate("no-certificate"),
    tls_refused(
        "foreign-certificate",
        outcomes=("tls_untrusted_issuer", "tls_refused"),
        counter="ssl.fail_verify_error",
    ),
)
"""All three are refused, each for its own reason, and the member is not."""


def by_http(world: str, service: Service, path: str = "/{marker}") -> tuple[Call, ...]:
    """Return the four calls as requests for a path; see `calls`."""
    port = service.ports[0].number
    plain = f"curl -sS http://{service.name}:{port}{path}"
    return calls(world, service, plain, rf"GET {path} HTTP/1.1\r\nHost: {service.name}\r\n\r\n")


def by_tcp(world: str, service: Service) -> tuple[Call, ...]:
    """Return the four calls as a line of text; see `calls`."""
    plain = f"say {service.name} {service.ports[0].number} {{marker}}"
    return calls(world, service, plain, r"{marker}\n")


def calls(world: str, service: Service, plain: str, send: str) -> tuple[Call, ...]:
    """Return the three strangers' calls and the member's, to a Service's first port.

    The world needs the workloads `stranger` and `member`. plain: the plaintext stranger's command.
    send: what the probes send once they are let in, and what must bring the marker back.
    """
    to, port = service.name, service.ports[0].number
    sni = f"outbound_.{port}_._.{to}.{{namespace}}.svc.cluster.local"
    probe = f"tls-probe {to} {port} --alpn istio --sni {sni} --send '{send}'"
    typed = (
        (NAMES[0], "stranger", plain),
        (NAMES[1], "stranger", probe),
        (NAMES[2], "stranger", f"{probe} --stdin"),
        (NAMES[3], "member", f"{probe} {MEMBER}"),
    )
    return tuple(call(name, world, service, line, source=source) for name, source, line in typed)
