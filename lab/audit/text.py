"""An audit for a terminal: the worst first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from lab.audit import findings as found
from lab.audit.edges import Walked
from lab.audit.findings import Finding, Key
from lab.audit.rule import Severity
from lab.audit.verify import Verified

MOST_CALLERS = 4


def lines(
    walked: Walked,
    findings: Sequence[Finding],
    verified: Mapping[Key, Verified],
    least: Severity,
    width: int,
) -> Iterator[str]:
    """Yield the lines of an audit. least: the severity from which on findings are told."""
    severe = found.at_or_above(findings, least)
    shown = [one for one in findings if one in severe or one.key in verified]
    for one in shown:
        yield from finding(one, verified.get(one.key), width)
        yield ""
    if len(shown) < len(findings):
        yield f"{len(findings) - len(shown)} more, less severe: --show low"
    yield from end(walked)


def end(walked: Walked) -> Iterator[str]:
    """Yield the last lines: how much was walked, and what is not known."""
    counted = found.crossings(walked)
    each = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counted.most_common())
    yield f"{len(walked.edges)} edges walked; between two sidecars: {each or 'none'}"
    for why, there in found.unknown(walked).items():
        yield f"unknown: {there}: {why}"
    for unread in walked.unread:
        yield f"not read: {unread.what}: {unread.why}"


def finding(one: Finding, verified: Verified | None, width: int) -> Iterator[str]:
    """Yield the lines of one finding, and what a call for it showed."""
    callers = one.callers
    more = f" and {len(callers) - MOST_CALLERS} more" if len(callers) > MOST_CALLERS else ""
    yield f"{one.rule.severity.upper()} {one.rule.name}  {one.about}"
    told = {
        "": f"{', '.join(one.destinations) or one.about}: {one.rule.says}.",
        "called by": f"{', '.join(callers[:MOST_CALLERS])}{more}, sending {' or '.join(one.sent)}"
        if callers
        else "",
        "because of": "; ".join(one.causes),
        "walk": one.why,
        "means": one.rule.means,
        "heals": one.rule.heals,
        "verified": _verified(verified) if verified else "",
        "proven by": ", ".join(one.rule.proven_by) or "no measurement of the lab's",
    }
    for name, text in told.items():
        if not text:
            continue
        yield from textwrap.wrap(
            text,
            width,
            initial_indent=f"  {name + ':' if name else '':12}",
            subsequent_indent=" " * 14,
        )


def _verified(one: Verified) -> str:
    where = f" ({one.run})" if one.run else ""
    return f"{one.said}: {one.saw}, when {one.caller} ran {one.call}{where}"
