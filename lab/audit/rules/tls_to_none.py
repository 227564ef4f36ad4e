"""The caller's sidecar speaks mTLS to a server that cannot take it."""

from lab.audit import seen
from lab.audit.rule import EdgeRule
from lab.envoy.way import CLIENT

RULE = EdgeRule(
    "tls-to-none",
    "high",
    "fails: the caller's sidecar speaks mTLS, and nothing at the other end takes it",
    "503 with WRONG_VERSION_NUMBER, or an application that is given a handshake it cannot read.",
    "A DestinationRule with mode DISABLE for this port; or let the server's sidecar take the port.",
    ("wrong_version_number", "headless_one_socket L1"),
    lambda edge: (
        seen.gives_tls(edge)
        or (seen.refused_by(edge, CLIENT) and "WRONG_VERSION_NUMBER" in edge.way.detail)
    ),
    lambda edge: seen.present(seen.rule_of(edge), seen.service(edge), seen.server_pod(edge)),
)
