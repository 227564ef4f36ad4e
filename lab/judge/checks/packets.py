"""Checks what crossed between the pods."""

from __future__ import annotations

import itertools

from lab.judge.case import Case
from lab.judge.checks.answers import answered
from lab.judge.checks.combine import all_of, each
from lab.judge.observation import FINAL_HOP, Observation
from lab.model.failure import Check, CheckResult


def secured(*names: str) -> Check:
    """Check for mutual TLS: the packets are TLS records, and the server's proxy names the peer."""

    def look(seen: Observation) -> CheckResult:
        if "unknown" in (seen.wire.security, seen.server.security):
            unknown = seen.wire if seen.wire.security == "unknown" else seen.server
            return CheckResult(None, unknown.why)
        good = seen.security == "mutual_tls" and seen.marker_count == 0
        return CheckResult(good, f"expected mutual_tls, saw {seen.security}: {_why(seen)}")

    return each(*names, look=look)


def secured_answer(*names: str) -> Check:
    """Check that a call was answered, over mutual TLS."""
    return all_of(answered(*names), secured(*names))


def secured_hops(*names: str) -> Check:
    """Check that a call through a gateway was answered, over mutual TLS on both its hops."""
    return all_of(answered(*names), secured(*names, *(name + FINAL_HOP for name in names)))


def readable(*names: str) -> Check:
    """Check for plaintext: the call's marker can be read between the pods."""

    def look(seen: Observation) -> CheckResult:
        if seen.wire.security == "unknown":
            return CheckResult(None, seen.wire.why)
        good = seen.wire.security == "plaintext" and seen.marker_count > 0
        told = f"saw {seen.wire.security}, marker read {seen.marker_count}x"
        return CheckResult(good, f"expected plaintext with the marker in it, {told}")

    return each(*names, look=look)


def unread(*names: str) -> Check:
    """Check that the marker cannot be read between the pods: nothing crossed, or TLS did."""

    def look(seen: Observation) -> CheckResult:
        if seen.wire.security == "unknown":
            return CheckResult(None, seen.wire.why)
        told = f"saw {seen.wire.security}, marker read {seen.marker_count}x"
        return CheckResult(seen.marker_count == 0, f"expected the marker unread, {told}")

    return each(*names, look=look)


def unsent(*names: str) -> Check:
    """Check that nothing crossed between the pods: not even a connection with a byte in it."""

    def look(seen: Observation) -> CheckResult:
        if seen.wire.security == "unknown":
            return CheckResult(None, seen.wire.why)
        good = seen.wire.security == "none"
        return CheckResult(good, f"expected nothing on the wire, saw {seen.wire.security}")

    return each(*names, look=look)


def left_client(*names: str) -> Check:
    """Check that the request left the client: its bytes are on the client's own loopback."""

    def look(seen: Observation) -> CheckResult:
        told = {True: "were seen", False: "were not seen", None: "could not be looked for"}
        where = "on the client's own loopback"
        return CheckResult(seen.left_client, f"its bytes {told[seen.left_client]} {where}")

    return each(*names, look=look)


def costs_more(*names: str) -> Check:
    """Check that each call took more bytes on the wire than the one before it."""

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
    """Check that the application's own TLS crosses: by its SNI, and its log names the caller."""

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


def shows_sni(*names: str, sni: str) -> Check:
    """Check that the SNI, which a passive reader sees, begins like this."""

    def look(seen: Observation) -> CheckResult:
        if seen.wire.security == "unknown":
            return CheckResult(None, seen.wire.why)
        found = seen.wire.packets.sni
        return CheckResult(found.startswith(sni), f"expected SNI {sni}..., saw {found or 'none'}")

    return each(*names, look=look)


def _why(seen: Observation) -> str:
    return f"{seen.wire.why}, and {seen.server.why}"
