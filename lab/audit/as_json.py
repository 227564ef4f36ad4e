"""An audit as JSON, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.audit import findings as found
from lab.audit.edges import Walked
from lab.audit.findings import Finding, Key
from lab.audit.verify import Verified

FORMAT = 1


def told(
    walked: Walked, findings: Sequence[Finding], verified: Mapping[Key, Verified]
) -> dict[str, Any]:
    """Return an audit as it is written."""
    return {
        "format": FORMAT,
        "edges": {"walked": len(walked.edges), "between_sidecars": dict(found.crossings(walked))},
        "findings": [
            {
                "rule": one.rule.name,
                "severity": one.rule.severity,
                "fingerprint": one.fingerprint,
                "about": one.about,
                "to": one.destinations,
                "says": one.rule.says,
                "callers": one.callers,
                "sends": one.sent,
                "causes": [*one.causes],
                "walk": one.why,
                "means": one.rule.means,
                "heals": one.rule.heals,
                "proven_by": [*one.rule.proven_by],
                "verified": _verified(verified.get(one.key)),
            }
            for one in findings
        ],
        "unknown": found.unknown(walked),
        "not_read": [{"what": one.what, "why": one.why} for one in walked.unread],
    }  # fmt: skip


def _verified(one: Verified | None) -> dict[str, str] | None:
    if one is None:
        return None
    told = {"caller": one.caller, "call": one.call, "saw": one.saw, "run": one.run}
    return {"said": one.said, **told}
