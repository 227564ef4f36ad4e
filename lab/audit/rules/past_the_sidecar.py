"""A port, a range of addresses, or a user of processes is left out of interception."""

from lab.audit import seen
from lab.audit.rule import EdgeRule

RULE = EdgeRule(
    "past-the-sidecar",
    "medium",
    "crosses in plaintext: one of the two sidecars does not take it",
    "What is left out has neither mTLS nor policies.",
    "Remove the port or the range from the annotation; run the application as another user and "
    "group than the sidecar, whose own is 1337.",
    ("https_in_mtls", "wrong_version_number", "test tests/lab/audit/test_audit_live.py"),
    lambda edge: seen.in_plaintext(edge) and seen.past_sidecar(edge),
    lambda edge: seen.present(seen.why_left_out(edge)),
    about=seen.who_leaves_out,
)
