"""Checks what the caller met, and what the one that was asked said of it."""

from __future__ import annotations

import json

from lab.judge.checks.combine import each
from lab.judge.observation import Observation
from lab.model.failure import Check, CheckResult
from lab.planes import stats


def answered(*names: str, status: int = 0) -> Check:
    """Check that a call got its answer (with this HTTP status), and its own marker came back."""

    def look(seen: Observation) -> CheckResult:
        record = seen.record
        came_back = record.marker in record.received
        good = record.outcome == "answered" and status in (0, record.status) and came_back
        wanted, saw = (f"answered {status or ''}", f"{record.outcome} {record.status or ''}")
        without = " without its marker" if record.received and not came_back else ""
        return CheckResult(good, f"expected {wanted.strip()}, saw {saw.strip()}{without}")

    return each(*names, look=look)


def unanswered(*names: str, status: int = 0) -> Check:
    """Check that a call got an HTTP error (with this status), or, without one, no answer at all."""

    def look(seen: Observation) -> CheckResult:
        record = seen.record
        if status:
            good = record.outcome == "answered" and record.status == status
        else:
            good = record.outcome != "answered" or record.status >= 400
        wanted = f"error {status}" if status else "no answer"
        return CheckResult(good, f"expected {wanted}, saw {record.outcome} {record.status or ''}")

    return each(*names, look=look)


def succeeded(*names: str) -> Check:
    """Check that a call got an answer that is no HTTP error, whatever it says."""

    def look(seen: Observation) -> CheckResult:
        record = seen.record
        good = record.outcome == "answered" and record.status < 400
        saw = f"{record.outcome} {record.status or ''}".strip()
        return CheckResult(good, f"expected an answer without an error, saw {saw}")

    return each(*names, look=look)


def came_out(*names: str, outcomes: tuple[str, ...]) -> Check:
    """Check that the caller met one of these outcomes."""

    def look(seen: Observation) -> CheckResult:
        found = seen.record.outcome
        lines = seen.record.error.splitlines()
        said = next((line for line in lines if line.startswith("curl: ")), "")
        expected = " or ".join(outcomes)
        return CheckResult(found in outcomes, f"expected {expected}, saw {found} {said}".strip())

    return each(*names, look=look)


def received(*names: str, words: str) -> Check:
    """Check that these words are in what the caller received, however its call ended."""

    def look(seen: Observation) -> CheckResult:
        found = seen.record.received
        return CheckResult(words in found, f"expected `{words}`, saw {found[:200] or 'nothing'!r}")

    return each(*names, look=look)


def broken_off(*names: str) -> Check:
    """Check that a call was reset or closed without an answer."""

    def look(seen: Observation) -> CheckResult:
        good = seen.record.outcome in ("reset", "closed") and not seen.record.received
        return CheckResult(good, f"expected a connection broken off, saw {seen.record.outcome}")

    return each(*names, look=look)


def tls_refused(*names: str, outcomes: tuple[str, ...], counter: str) -> Check:
    """Check that the handshake was refused: this alert at the caller, this counter there."""

    def look(seen: Observation) -> CheckResult:
        counted = seen.record.counters.get(seen.call.to)
        if counted is None:
            return CheckResult(None, "the counters of the server's proxy were not recorded")
        rose = stats.of_listener(counted, stats.INBOUND).get(counter, 0)
        good = seen.record.outcome in outcomes and rose == 1
        told = f"saw {seen.record.outcome}, {counter} +{rose}"
        return CheckResult(good, f"expected {' or '.join(outcomes)} and {counter} +1, {told}")

    return each(*names, look=look)


def upgrade_is_gone(*names: str) -> Check:
    """Check that httpbin names no Upgrade among the headers that reached it."""

    def look(seen: Observation) -> CheckResult:
        try:
            headers = json.loads(seen.record.received)["headers"]
        except (ValueError, KeyError):
            return CheckResult(None, "the answer does not tell the headers")
        found = sorted(name for name in headers if name.lower() in ("upgrade", "http2-settings"))
        return CheckResult(not found, f"upgrade headers that reached the server: {found or 'none'}")

    return each(*names, look=look)


def application_logged(*names: str, spoke: str = "", words: str = "") -> Check:
    """Check in the application's own log what reached it (`tls`, `http`) and its complaint."""

    def look(seen: Observation) -> CheckResult:
        line = seen.app_line
        if line is None:
            return CheckResult(None, "the application has no line of it")
        found, error = str(line.get("spoke")), str(line.get("error") or "no complaint")
        good = spoke in ("", found) and words in error
        expected = " and ".join(f"`{word}`" for word in (spoke, words) if word)
        return CheckResult(
            good, f"expected {expected}, the application's log says {found}: {error}"
        )

    return each(*names, look=look)


def api_said(name: str, text: str) -> Check:
    """Check that the API server's answer to a manifest contains this text."""

    def look(seen: Observation) -> CheckResult:
        said = seen.record.received or seen.record.error
        return CheckResult(text in said, f"expected {text!r}, the API server said {said[:200]!r}")

    return each(name, look=look)


def applied(name: str) -> Check:
    """Check that the API server took the manifest."""

    def look(seen: Observation) -> CheckResult:
        good = seen.record.outcome == "answered"
        return CheckResult(good, f"expected it applied, saw {seen.record.received[:200]!r}")

    return each(name, look=look)
