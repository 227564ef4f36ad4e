"""Checks of what a person sees, made of those in lab/judge/checks.py."""

from __future__ import annotations

from lab.judge.checks import all_of, answered, came_out, own_tls_only
from lab.model.failure import Check

SSL_ERRORS = ("tls_untrusted_issuer", "tls_client_certificate_required", "not_tls")
"""What curl calls an SSL error; which of them, the server's mode decides."""
BROKEN_OFF = ("reset", "closed")
"""How the same refusal ends where curl meets it while it writes."""


def ssl_error(*names: str) -> Check:
    """Return the check that a call ended in what a person sees as an SSL error."""
    return came_out(*names, outcomes=SSL_ERRORS + BROKEN_OFF)


def own_tls_answer(*names: str) -> Check:
    """Return the check that a call is answered, and secured by the services' own TLS alone."""
    return all_of(answered(*names), own_tls_only(*names))
