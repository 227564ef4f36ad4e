"""Checks of what a person sees, made of those in lab/judge/checks.py."""

from __future__ import annotations

from lab.judge.checks import (
    all_of,
    answered,
    broken_off,
    came_out,
    client_logged,
    no_filter_chain,
    own_tls_only,
    readable,
)
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


def readable_answer(*names: str, status: int = 0) -> Check:
    """Return the check that a call is answered (with this HTTP status), in plaintext."""
    return all_of(answered(*names, status=status), readable(*names))


def plaintext_refused(*names: str) -> Check:
    """Return the check that a server's proxy refused plaintext: no filter chain takes it."""
    return all_of(broken_off(*names), no_filter_chain(*names))


def hangs(*names: str) -> Check:
    """Return the check that a caller waits, without end, for bytes that do not come."""
    return came_out(*names, outcomes=("hang",))


def wrong_version_number(*names: str) -> Check:
    """Return the check that the client's proxy spoke TLS, and was answered in plaintext."""
    return client_logged(*names, words="WRONG_VERSION_NUMBER")
