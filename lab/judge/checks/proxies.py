"""Checks what the proxies logged of a call."""

from __future__ import annotations

from lab.judge.checks.combine import each
from lab.judge.observation import Observation
from lab.model.failure import Check, CheckResult
from lab.planes.log import NO_TEXT, Line


def went_to(*names: str, cluster: str) -> Check:
    """Check in the client's proxy's log that it sent the call to this cluster."""

    def look(seen: Observation) -> CheckResult:
        if seen.client_line is None:
            return CheckResult(None, "the client's proxy has no line of it")
        found = str(seen.client_line.get("upstream_cluster"))
        return CheckResult(found.startswith(cluster), f"expected {cluster}, saw {found}")

    return each(*names, look=look)


def refused_upgrade(*names: str) -> Check:
    """Check that the caller's proxy answers 403 `upgrade_failed`, and nothing crosses the wire."""

    def look(seen: Observation) -> CheckResult:
        details = str((seen.client_line or {}).get("response_code_details"))
        if seen.client_line is None or seen.wire.security == "unknown":
            return CheckResult(None, seen.client.why if seen.client_line is None else seen.wire.why)
        crossed = seen.wire.security != "none"
        good = seen.record.status == 403 and details == "upgrade_failed" and not crossed
        told = f"saw {seen.record.status} by {details}, on the wire: {seen.wire.security}"
        return CheckResult(good, f"expected 403 by the client's proxy (upgrade_failed), {told}")

    return each(*names, look=look)


def reached(*names: str, status: int = 0) -> Check:
    """Check that the application itself answered: its own proxy says `via_upstream`."""

    def look(seen: Observation) -> CheckResult:
        line = seen.server_line or seen.client_line
        if line is None:
            return CheckResult(None, "no proxy has a line of it")
        found = str(line.get("response_code_details"))
        good = seen.server_line is not None and found == "via_upstream"
        good = good and status in (0, seen.record.status)
        told = f"saw {seen.record.status} by {found}"
        return CheckResult(good, f"expected the application's own answer {status or ''}, {told}")

    return each(*names, look=look)


def let_in(*names: str) -> Check:
    """Check that the server's proxy took the probe's certificate, and names it."""

    def look(seen: Observation) -> CheckResult:
        good = seen.server.security == "mutual_tls"
        return CheckResult(
            good, f"expected to be let in, saw {seen.record.outcome}; {seen.server.why}"
        )

    return each(*names, look=look)


def protocol_error(*names: str) -> Check:
    """Check that the server's proxy took a call for broken HTTP: 400 with flag DPE."""

    def look(seen: Observation) -> CheckResult:
        line = seen.server_line
        if line is None:
            return CheckResult(None, "the server's proxy has no line of it")
        found = f"{line.get('response_code')} {line.get('response_flags')}"
        return CheckResult(found == "400 DPE", f"expected 400 DPE, saw {found}")

    return each(*names, look=look)


WORDS = (
    "response_flags",
    "response_code_details",
    "connection_termination_details",
    "upstream_transport_failure_reason",
    "downstream_transport_failure_reason",
)
"""Fields of a line in which a proxy says why a call ended as it did."""


def client_logged(*names: str, words: str) -> Check:
    """Check that the client's proxy names this as why a call ended as it did."""

    def look(seen: Observation) -> CheckResult:
        return _named(seen.client_line, "client's proxy", words)

    return each(*names, look=look)


def server_logged(*names: str, words: str) -> Check:
    """Check that the server's proxy names this as why a call ended as it did."""

    def look(seen: Observation) -> CheckResult:
        return _named(seen.server_line, "server's proxy", words)

    return each(*names, look=look)


def _named(line: Line | None, whose: str, words: str) -> CheckResult:
    if line is None:
        return CheckResult(None, f"the {whose} has no line of it")
    found = " ".join(str(line.get(name)) for name in WORDS if line.get(name) not in NO_TEXT)
    told = f"the {whose} says {found or 'nothing'}"
    return CheckResult(words in found, f"expected `{words}`, saw that {told}")


def no_filter_chain(*names: str) -> Check:
    """Check that the server's proxy has no filter chain for it: NR, filter_chain_not_found."""

    def look(seen: Observation) -> CheckResult:
        line = seen.server_line
        if line is None:
            return CheckResult(None, "the server's proxy has no line of it")
        found = f"{line.get('response_flags')} {line.get('response_code_details')}"
        return CheckResult("filter_chain_not_found" in found, f"expected NR, saw {found}")

    return each(*names, look=look)
