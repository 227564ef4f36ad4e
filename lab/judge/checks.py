"""Checks: pure functions from a recorded case to a finding that says what it saw.

A finding is True, False, or None where nothing can be said; `None` never turns into a verdict.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable

from lab.judge.case import Case
from lab.judge.observation import FINAL_HOP, Observation
from lab.model.failure import Check, CheckResult
from lab.planes import stats

Look = Callable[[Observation], CheckResult]


def each(*names: str, look: Look) -> Check:
    """The same look at several calls; a call that is not there says nothing."""

    def check(case: Case) -> CheckResult:
        told: dict[CheckResult, list[str]] = {}
        for name in names:
            seen = case.see(name)
            finding = (
                look(seen)
                if seen
                else CheckResult(None, case.unseen(name) or "its last hop is not known")
            )
            told.setdefault(finding, []).append(name)
        return _together(
            [
                CheckResult(f.holds, f"{', '.join(calls)}: {_plainly(f)}")
                for f, calls in told.items()
            ]
        )

    return check


def _plainly(finding: CheckResult) -> str:
    """What was expected is told where it is not what was seen."""
    return re.sub(r"^expected .*?(?=saw )", "", finding.text) if finding.holds else finding.text


def all_of(*checks: Check) -> Check:
    """All hold; one that fails decides, else one that cannot say."""
    return lambda case: _together([check(case) for check in checks])


def _together(findings: list[CheckResult]) -> CheckResult:
    failing = [f for f in findings if f.holds is False]
    unsure = [f for f in findings if f.holds is None]
    told = failing or unsure or findings
    holds = False if failing else None if unsure or not findings else True
    texts = list(dict.fromkeys(f.text for f in told))
    return CheckResult(holds, "; ".join(texts))


def under(mtls: str, world: str, check: Check) -> Check:
    """The check, where that world has this PeerAuthentication mode; elsewhere nothing is asked."""

    def asked(case: Case) -> CheckResult:
        record = case.world(world)
        if record is None:
            return CheckResult(None, f"world {world} has no record")
        return (
            check(case) if record.mtls == mtls else CheckResult(True, f"{world} is {record.mtls}")
        )

    return asked


def answered(*names: str, status: int = 0) -> Check:
    """The call got its answer (with this HTTP status), and its own marker came back."""

    def look(seen: Observation) -> CheckResult:
        record = seen.record
        came_back = record.marker in record.received
        good = record.outcome == "answered" and status in (0, record.status) and came_back
        wanted, saw = (f"answered {status or ''}", f"{record.outcome} {record.status or ''}")
        without = " without its marker" if record.received and not came_back else ""
        return CheckResult(good, f"expected {wanted.strip()}, saw {saw.strip()}{without}")

    return each(*names, look=look)


def secured(*names: str) -> Check:
    """Mutual TLS: the packets are TLS records, and the server's proxy names the peer."""

    def look(seen: Observation) -> CheckResult:
        if "unknown" in (seen.wire.security, seen.server.security):
            unknown = seen.wire if seen.wire.security == "unknown" else seen.server
            return CheckResult(None, unknown.why)
        good = seen.security == "mutual_tls" and seen.marker_count == 0
        return CheckResult(good, f"expected mutual_tls, saw {seen.security}: {_why(seen)}")

    return each(*names, look=look)


def secured_answer(*names: str) -> Check:
    """Answered, and mutual TLS on the wire."""
    return all_of(answered(*names), secured(*names))


def secured_hops(*names: str) -> Check:
    """Answered through a gateway, and mutual TLS before and behind it."""
    return all_of(answered(*names), secured(*names, *(name + FINAL_HOP for name in names)))


def readable(*names: str) -> Check:
    """Plaintext on the wire: the call's marker can be read between the pods."""

    def look(seen: Observation) -> CheckResult:
        if seen.wire.security == "unknown":
            return CheckResult(None, seen.wire.why)
        good = seen.wire.security == "plaintext" and seen.marker_count > 0
        told = f"saw {seen.wire.security}, marker read {seen.marker_count}x"
        return CheckResult(good, f"expected plaintext with the marker in it, {told}")

    return each(*names, look=look)


def _why(seen: Observation) -> str:
    return f"{seen.wire.why}, and {seen.server.why}"


def left_client(*names: str) -> Check:
    """The request did leave the client: its bytes are on the client's own loopback."""

    def look(seen: Observation) -> CheckResult:
        told = {True: "were seen", False: "were not seen", None: "could not be looked for"}
        where = "on the client's own loopback"
        return CheckResult(seen.left_client, f"its bytes {told[seen.left_client]} {where}")

    return each(*names, look=look)


def went_to(*names: str, cluster: str) -> Check:
    """The client's proxy sent it to this cluster (its own log says so)."""

    def look(seen: Observation) -> CheckResult:
        if seen.client_line is None:
            return CheckResult(None, "the client's proxy has no line of it")
        found = str(seen.client_line.get("upstream_cluster"))
        return CheckResult(found.startswith(cluster), f"expected {cluster}, saw {found}")

    return each(*names, look=look)


def refused_upgrade(*names: str) -> Check:
    """The caller's own proxy answers 403 `upgrade_failed`, and nothing crosses the wire."""

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
    """The application itself answered: its own proxy says `via_upstream`."""

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
    """The server's proxy took the probe's certificate, and names it from there."""

    def look(seen: Observation) -> CheckResult:
        good = seen.server.security == "mutual_tls"
        return CheckResult(
            good, f"expected to be let in, saw {seen.record.outcome}; {seen.server.why}"
        )

    return each(*names, look=look)


def upgrade_is_gone(*names: str) -> Check:
    """Among the headers that httpbin tells it was sent there is no Upgrade."""

    def look(seen: Observation) -> CheckResult:
        try:
            headers = json.loads(seen.record.received)["headers"]
        except (ValueError, KeyError):
            return CheckResult(None, "the answer does not tell the headers")
        found = sorted(name for name in headers if name.lower() in ("upgrade", "http2-settings"))
        return CheckResult(not found, f"upgrade headers that reached the server: {found or 'none'}")

    return each(*names, look=look)


def costs_more(*names: str) -> Check:
    """Each call took more bytes on the wire than the one before it."""

    def check(case: Case) -> CheckResult:
        sizes = []
        for name in names:
            seen = case.see(name)
            if seen is None or seen.wire.security in ("unknown", "none"):
                return CheckResult(None, f"{name}: its bytes were not seen")
            sizes.append(seen.wire.packets.bytes_both_ways)
        told = ", ".join(f"{name} {size}" for name, size in zip(names, sizes, strict=True))
        rises = all(one < other for one, other in itertools.pairwise(sizes))
        return CheckResult(rises, f"bytes between the pods: {told}")

    return check


def own_tls_only(*names: str) -> Check:
    """The application's own TLS is what crosses: its SNI, and its own log names the caller."""

    def look(seen: Observation) -> CheckResult:
        if seen.wire.security == "unknown" or seen.app_line is None:
            why = seen.wire.why if seen.app_line else "the application has no line of it"
            return CheckResult(None, why)
        sni = seen.wire.packets.sni
        caller = seen.app_line.get("client_certificate")
        good = seen.wire.security == "tls" and not sni.startswith("outbound_") and bool(caller)
        told = f"SNI {sni or 'none'}, the application was shown a certificate of {caller}"
        return CheckResult(
            good, f"expected the application's own TLS, saw {seen.wire.security}, {told}"
        )

    return each(*names, look=look)


def unanswered(*names: str) -> Check:
    """An HTTP error, or none at all, instead of what was asked for."""

    def look(seen: Observation) -> CheckResult:
        record = seen.record
        good = record.outcome != "answered" or record.status >= 400
        return CheckResult(good, f"expected no answer, saw {record.outcome} {record.status or ''}")

    return each(*names, look=look)


def came_out(*names: str, outcomes: tuple[str, ...]) -> Check:
    """The caller met one of these outcomes."""

    def look(seen: Observation) -> CheckResult:
        found = seen.record.outcome
        lines = seen.record.error.splitlines()
        said = next((line for line in lines if line.startswith("curl: ")), "")
        expected = " or ".join(outcomes)
        return CheckResult(found in outcomes, f"expected {expected}, saw {found} {said}".strip())

    return each(*names, look=look)


def application_logged(*names: str, spoke: str = "", words: str = "") -> Check:
    """The application's own log: what reached it (`tls`, `http`), and what it complained of."""

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


def shows_sni(*names: str, sni: str) -> Check:
    """The name asked for that a passive reader sees on the wire begins like this."""

    def look(seen: Observation) -> CheckResult:
        if seen.wire.security == "unknown":
            return CheckResult(None, seen.wire.why)
        found = seen.wire.packets.sni
        return CheckResult(found.startswith(sni), f"expected SNI {sni}..., saw {found or 'none'}")

    return each(*names, look=look)


def protocol_error(*names: str) -> Check:
    """The server's proxy took it for broken HTTP: 400 with flag DPE."""

    def look(seen: Observation) -> CheckResult:
        line = seen.server_line
        if line is None:
            return CheckResult(None, "the server's proxy has no line of it")
        found = f"{line.get('response_code')} {line.get('response_flags')}"
        return CheckResult(found == "400 DPE", f"expected 400 DPE, saw {found}")

    return each(*names, look=look)


def broken_off(*names: str) -> Check:
    """Reset or closed without an answer."""

    def look(seen: Observation) -> CheckResult:
        good = seen.record.outcome in ("reset", "closed") and not seen.record.received
        return CheckResult(good, f"expected a connection broken off, saw {seen.record.outcome}")

    return each(*names, look=look)


def no_filter_chain(*names: str) -> Check:
    """The server's proxy has no filter chain for it: flag NR, filter_chain_not_found."""

    def look(seen: Observation) -> CheckResult:
        line = seen.server_line
        if line is None:
            return CheckResult(None, "the server's proxy has no line of it")
        found = f"{line.get('response_flags')} {line.get('response_code_details')}"
        return CheckResult("filter_chain_not_found" in found, f"expected NR, saw {found}")

    return each(*names, look=look)


def tls_refused(*names: str, outcomes: tuple[str, ...], counter: str) -> Check:
    """Refused in the TLS handshake: this alert at the caller, this counter at the server."""

    def look(seen: Observation) -> CheckResult:
        counted = seen.record.counters.get(seen.call.to)
        if counted is None:
            return CheckResult(None, "the counters of the server's proxy were not recorded")
        rose = stats.of_listener(counted, stats.INBOUND).get(counter, 0)
        good = seen.record.outcome in outcomes and rose == 1
        told = f"saw {seen.record.outcome}, {counter} +{rose}"
        return CheckResult(good, f"expected {' or '.join(outcomes)} and {counter} +1, {told}")

    return each(*names, look=look)


def api_said(name: str, text: str) -> Check:
    """The API server's answer to a manifest contains this text."""

    def look(seen: Observation) -> CheckResult:
        said = seen.record.received or seen.record.error
        return CheckResult(text in said, f"expected {text!r}, the API server said {said[:200]!r}")

    return each(name, look=look)


def applied(name: str) -> Check:
    """The API server took the manifest."""

    def look(seen: Observation) -> CheckResult:
        good = seen.record.outcome == "answered"
        return CheckResult(good, f"expected it applied, saw {seen.record.received[:200]!r}")

    return each(name, look=look)


def identities(world: str, *workloads: str) -> Check:
    """Each proxy holds a certificate for its own SPIFFE identity, all from one issuer."""

    def check(case: Case) -> CheckResult:
        record = case.world(world)
        if record is None:
            return CheckResult(None, f"world {world} has no record")
        found, issuers = [], set()
        for name in workloads:
            certificate = record.pods[name].certificate
            wanted = f"spiffe://cluster.local/ns/{record.namespace}/sa/{name}"
            found.append(certificate.get("spiffe") == wanted)
            issuers.add(certificate.get("issuer", ""))
        good = all(found) and len(issuers) == 1 and "" not in issuers
        told = ", ".join(record.pods[name].certificate.get("spiffe", "none") for name in workloads)
        return CheckResult(good, f"{told}, issued by {' and '.join(sorted(issuers)) or 'nobody'}")

    return check


def no_certificate_secrets(world: str) -> Check:
    """The namespace holds no Secret: nobody there keeps a certificate by hand."""

    def check(case: Case) -> CheckResult:
        record = case.world(world)
        if record is None:
            return CheckResult(None, f"world {world} has no record")
        return CheckResult(not record.secrets, f"Secrets in the namespace: {list(record.secrets)}")

    return check
