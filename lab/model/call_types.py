"""Types of call, by the program that is typed: one entry in `TYPES` for each.

A type says how the command line is completed before it runs, how the program's exit code and
output become the fields of a call's record, and what its first bytes are. A program without an
entry is run as it is typed (`DEFAULT`). To add a type, add an entry; nothing else changes.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lab.model.sending import (
    ANYTHING,
    First,
    Sending,
    curl,
    grpcurl,
    nginx_get,
    of_command,
    say,
    tls_probe,
)

LONGEST = 4000
"""Characters that are kept of each output."""


class Ended(Protocol):
    """A command that has ended in a pod, as `clusters.base.Completed` has it."""

    @property
    def argv(self) -> tuple[str, ...]: ...
    @property
    def code(self) -> int: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...


@dataclass(frozen=True)
class Reading:
    """What a program's output says of its call. The fields are those of `CallRecord`."""

    outcome: str = "error"
    status: int = 0
    """HTTP status; 0: none came back, or the program does not tell it."""
    local_port: int = 0
    """The client's TCP port; 0: the program does not tell it."""
    received: str = ""
    error: str = ""
    lost: str = ""
    """Why the output cannot be read; a lost call is no evidence."""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CallType:
    """One program, and all that the lab has to know of it."""

    program: str
    read: Callable[[Ended], Reading]
    sending: Callable[[Sequence[str]], Sending] = lambda _words: ANYTHING
    """What its words, without the program's own name, say of what it sends first."""
    timeout: tuple[str, ...] = ()
    """Arguments by which it ends before the lab's own patience does."""
    header: tuple[str, ...] = ()
    """Arguments that send the request id, with `{id}` in them; empty: it cannot carry one."""
    output: tuple[str, ...] = ()
    """Arguments that make it tell what `read` needs."""
    marker: tuple[str, ...] = ()
    """Arguments that send `{marker}`, for a command in which none is typed."""
    certificate: str = ""
    """Argument that makes it read a key and a certificate (PEM) from its standard input."""

    @property
    def carries_request_id(self) -> bool:
        """Whether the proxies' log lines of a call can be found by its request id."""
        return bool(self.header)

    def completed(self, argv: Sequence[str], request_id: str) -> list[str]:
        """The command line as it runs: the typed one, with this type's arguments added."""
        header = [part.replace("{id}", request_id) for part in self.header]
        return [argv[0], *self.timeout, *header, *self.output, *argv[1:]]


def for_program(program: str) -> CallType:
    """The type of the calls that a program makes; `DEFAULT` for one that is not known."""
    return TYPES.get(program, DEFAULT)


@functools.lru_cache(maxsize=1024)
def sending(command: str) -> Sending:
    """Return what the caller's application sends first, by the command that is typed."""
    return of_command(command, {name: one.sending for name, one in TYPES.items()})


def first_bytes(command: str) -> First:
    """Return the same in one word. A program that is not known sends TLS to an `https://` URL."""
    found = sending(command)
    return "tls" if found == ANYTHING and "https://" in command else found.first


CURL_CODES: Mapping[int, str] = {
    7: "refused",
    28: "hang",
    35: "not_tls",
    52: "closed",
    55: "reset",
    56: "reset",
    60: "tls_untrusted_issuer",
}
"""curl's exit code -> outcome, where none of `CURL_PHRASES` is in its error.
https://curl.se/libcurl/c/libcurl-errors.html"""
CURL_PHRASES: Mapping[str, str] = {
    "alert certificate required": "tls_client_certificate_required",
    "wrong version number": "not_tls",
    "reset by peer": "reset",
    "unexpected eof": "closed",
    "SSL_ERROR_SYSCALL": "closed",
}
"""Words of curl's error -> outcome. They come first: one TLS refusal ends curl with 16, 55 or 56,
as it meets the alert while it reads or while it writes."""


def _read_curl(ended: Ended) -> Reading:
    """Read curl's JSON, which `-w` writes to stderr after curl's own error."""
    text = _text(ended.stderr)
    error, _, written = text.rpartition("{")
    try:
        facts = json.loads("{" + written) if written else {}
        status, port = int(facts.get("http_code") or 0), int(facts.get("local_port") or 0)
    except (TypeError, ValueError, RecursionError):
        return Reading(lost=f"curl's report of the call cannot be read: {text[-300:]}")
    phrases = (outcome for phrase, outcome in CURL_PHRASES.items() if phrase in error)
    outcome = next(phrases, CURL_CODES.get(ended.code, "error")) if ended.code else "answered"
    return Reading(outcome, status, port, _text(ended.stdout)[:LONGEST], error.strip()[-LONGEST:])


def _read_any(ended: Ended) -> Reading:
    """Read what every program has: its exit code, and what it printed."""
    error = _text(ended.stderr).strip()
    if ended.code in (126, 127):  # of the shell and the container runtime: it could not be run
        return Reading(lost=f"`{ended.argv[0]}` did not run in the pod: {error[-300:]}")
    outcome = "error" if ended.code else "answered"
    return Reading(outcome, received=_text(ended.stdout)[:LONGEST], error=error[-LONGEST:])


def _read_own_tool(ended: Ended) -> Reading:
    """Read the one line of JSON that the lab's own tools print (lab/workloads/tools)."""
    try:
        facts = json.loads(ended.stdout)
        known: dict[str, Any] = {
            "outcome": str(facts.pop("outcome")),
            "status": int(facts.pop("status", 0)),
            "local_port": int(facts.pop("local_port") or 0),
            "received": str(facts.pop("received"))[:LONGEST],
            "error": str(facts.pop("error", "")),
        }
        der = base64.b64decode(facts.pop("certificate", "") or "")
        return Reading(**known, facts={**facts, **_names(der)})
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return Reading(lost=f"no answer to read: {_text(ended.stderr)[-300:]}")


def _names(der: bytes) -> dict[str, str]:
    """The URI that a server's certificate (DER) names, and its issuer; empty without one.

    Raises ValueError for what is no certificate.
    """
    if not der:
        return {}
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    issuer = certificate.issuer.rfc4514_string()
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return {"server_uri": "", "server_issuer": issuer}
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return {"server_uri": uris[0] if uris else "", "server_issuer": issuer}


def _text(output: bytes) -> str:
    return output.decode(errors="replace")


TYPES: Mapping[str, CallType] = {
    one.program: one
    for one in (
        CallType(
            "curl",
            _read_curl,
            sending=curl,
            timeout=("--max-time", "10"),
            header=("-H", "x-request-id: {id}"),
            output=("-w", "%{stderr}%{json}"),
            marker=("-H", "x-lab-marker: {marker}"),
        ),
        CallType(
            "grpcurl",
            _read_any,
            sending=grpcurl,
            timeout=("-max-time", "10"),
            header=("-H", "x-request-id: {id}"),
        ),
        CallType("say", _read_own_tool, sending=say),
        CallType("nginx-get", _read_own_tool, sending=nginx_get),
        CallType("tls-probe", _read_own_tool, sending=tls_probe, certificate="--stdin"),
    )
}
DEFAULT = CallType("", _read_any)
"""Any other program: run as it is typed, judged by its exit code alone."""
