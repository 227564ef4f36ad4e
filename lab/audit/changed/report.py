"""What a change of manifests does to a mesh: as text, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lab.audit import findings as found
from lab.audit import text
from lab.audit.changed.compare import Changed
from lab.audit.changed.meshes import Meshes
from lab.audit.edges import Unread, Walked
from lab.audit.findings import Finding
from lab.audit.rule import Severity
from lab.render.display import Table


@dataclass(frozen=True)
class Report:
    """The audit of a mesh before and after a change."""

    meshes: Meshes
    after: Walked
    edges: Sequence[Changed]
    findings: Sequence[Finding]
    """After the change, all of them."""
    new: Sequence[Finding]
    gone: Sequence[Finding]

    @property
    def breaks(self) -> list[Changed]:
        """Return the edges on which calls that arrive before do not all arrive after."""
        return [one for one in self.edges if one.effect in ("breaks", "partly breaks")]

    @property
    def unread(self) -> list[Unread]:
        """Return what nothing is said of, and why."""
        left_out = self.meshes.applied.left_out.items()
        return [
            *self.after.unread,
            *(Unread(what, f"not applied: {why}") for what, why in left_out),
        ]

    @property
    def whole(self) -> bool:
        """Return whether all is known."""
        unknown = any(one.effect == "unknown" for one in self.edges)
        return not (unknown or self.unread or found.unknown(self.after))


def lines(report: Report, least: Severity, width: int) -> Iterator[str]:
    """Yield the lines for a terminal: what changes, and how far that is known."""
    yield f"changed: {'; '.join(report.meshes.applied.changed) or 'nothing that istiod reads'}"
    yield from _proxies(report)
    yield ""
    if report.edges:
        header = ("effect", "callers", "to", "sends", "before -> after")
        yield from Table("", header, (*_rows(report.edges),)).text(width).splitlines()
    else:
        yield "no edge changes"
    yield ""
    for word, which in (("new", report.new), ("gone", report.gone)):
        shown = found.at_or_above(which, least)
        yield f"findings that are {word}: {len(which)}{':' if shown else ''}"
        for one in shown:
            yield from text.finding(one, None, width)
            yield ""
    yield from text.end(report.after)
    for what, why in report.meshes.applied.left_out.items():
        yield f"not applied: {what}: {why}"


def _rows(edges: Sequence[Changed]) -> Iterator[tuple[str, ...]]:
    """Yield a row for all edges to one destination that change alike."""
    alike: dict[tuple[str, ...], list[Changed]] = {}
    for one in edges:
        alike.setdefault((one.effect, one.to, _or(one.before), _or(one.after)), []).append(one)
    for (effect, to, before, after), each in alike.items():
        callers = [*dict.fromkeys(one.caller for one in each)]
        more = [f"and {len(callers) - text.MOST_CALLERS} more"] * (len(callers) > text.MOST_CALLERS)
        sent = [*dict.fromkeys(one.sends for one in each)]
        told = "\n".join([*callers[: text.MOST_CALLERS], *more])
        yield effect, told, to, "\n".join(sent), f"{before}\n-> {after}"


def _or(ends: Sequence[str]) -> str:
    return "; or ".join(ends)


def _proxies(report: Report) -> Iterator[str]:
    told = report.meshes.proxies
    counted = Counter(one.known for one in told.values())
    each = "; ".join(f"{number} {known}" for known, number in sorted(counted.items()))
    yield f"configuration of proxies, by istiod's own code: {each or 'none'}"
    yield from (f"assumed: {one}" for one in report.meshes.assumed)
    for pod, one in sorted(told.items()):
        if one.known == "unknown":
            more = f"; and {len(one.why) - 1} more" if one.why[1:] else ""
            yield f"unknown: {pod}: {one.why[0]}{more}"


def as_json(report: Report) -> dict[str, Any]:
    """Return what is written beside the audit of the mesh after the change."""
    return {
        "changed": report.meshes.applied.changed,
        "not_applied": report.meshes.applied.left_out,
        "proxies": {
            pod: {"known": one.known, "why": [*one.why]}
            for pod, one in sorted(report.meshes.proxies.items())
        },
        "edges": [
            {
                "effect": one.effect,
                "caller": one.caller,
                "to": one.to,
                "sends": one.sends,
                "before": [*one.before],
                "after": [*one.after],
            }
            for one in report.edges
        ],
        "new": [one.fingerprint for one in report.new],
        "gone": [
            {"rule": one.rule.name, "about": one.about, "fingerprint": one.fingerprint}
            for one in report.gone
        ],
    }
