"""Checks: pure functions from a case to what it shows, one for each thing that can be asked.

A result is True, False, or None where nothing can be said.
"""

from __future__ import annotations

from lab.judge.checks.answers import (
    answered,
    api_said,
    application_logged,
    applied,
    broken_off,
    came_out,
    received,
    succeeded,
    tls_refused,
    unanswered,
    upgrade_is_gone,
)
from lab.judge.checks.combine import all_of, each, under
from lab.judge.checks.packets import (
    costs_more,
    left_client,
    own_tls_only,
    readable,
    secured,
    secured_answer,
    secured_hops,
    shows_sni,
    unread,
    unsent,
)
from lab.judge.checks.proxies import (
    client_logged,
    let_in,
    no_filter_chain,
    protocol_error,
    reached,
    refused_upgrade,
    server_logged,
    went_to,
)
from lab.judge.checks.worlds import identities, no_certificate_secrets

__all__ = [
    "all_of",
    "answered",
    "api_said",
    "application_logged",
    "applied",
    "broken_off",
    "came_out",
    "client_logged",
    "costs_more",
    "each",
    "identities",
    "left_client",
    "let_in",
    "no_certificate_secrets",
    "no_filter_chain",
    "own_tls_only",
    "protocol_error",
    "reached",
    "readable",
    "received",
    "refused_upgrade",
    "secured",
    "secured_answer",
    "secured_hops",
    "server_logged",
    "shows_sni",
    "succeeded",
    "tls_refused",
    "unanswered",
    "under",
    "unread",
    "unsent",
    "upgrade_is_gone",
    "went_to",
]
