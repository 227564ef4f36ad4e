"""Writes an audit's page: a map of its edges, and each finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lab.audit import edge_map
from lab.audit import findings as found
from lab.audit.edges import Walked
from lab.audit.findings import Finding, Key
from lab.audit.verify import Verified
from lab.render import field_map
from lab.render.display import Table
from lab.report import pictures
from lab.report.pictures import Part

LEDE = (
    "Each field is how calls of one workload to one port cross the network, or how they fail, by "
    "the configuration of the proxies at both ends. No call was made, but for those of findings "
    "that say so."
)


def write(
    path: Path,
    walked: Walked,
    findings: Sequence[Finding],
    verified: Mapping[Key, Verified],
    assumed: Sequence[str],
) -> None:
    """Write the page of an audit."""
    parts = [*_parts(walked, findings, verified)]
    pictures.write(path, "An audit of a mesh", LEDE, parts, _facts(walked, findings, assumed))


def _parts(
    walked: Walked, findings: Sequence[Finding], verified: Mapping[Key, Verified]
) -> Iterator[Part]:
    yield Part("findings", "Findings, the worst first", _table(findings, verified))
    for number, table in enumerate(edge_map.tables(walked)):
        yield Part(f"map-{number}", table.title, field_map.picture(table))
    unknown = [(there, why) for why, there in found.unknown(walked).items()]
    unknown += [(one.what, one.why) for one in walked.unread]
    if unknown:
        yield Part("unknown", "Not known", Table("", ("what", "why"), (*unknown,)))


def _table(findings: Sequence[Finding], verified: Mapping[Key, Verified]) -> Table:
    header = ("severity", "what it is about", "what is so", "because of", "heals", "on the wire")
    return Table(
        "",
        header,
        tuple(
            (
                one.rule.severity,
                one.about,
                f"{one.rule.says} ({one.rule.name})",
                "\n".join(one.causes),
                one.rule.heals,
                wire.said if (wire := verified.get(one.key)) else "no call was made",
            )
            for one in findings
        ),
    )


def _facts(walked: Walked, findings: Sequence[Finding], assumed: Sequence[str]) -> dict[str, str]:
    counted = found.crossings(walked)
    facts = {
        "edges walked": str(len(walked.edges)),
        "between two sidecars": ", ".join(
            f"{number} {name.replace('_', ' ')}" for name, number in counted.most_common()
        )
        or "none",
        "findings": str(len(findings)),
    }
    return facts | ({"assumed": "; ".join(assumed)} if assumed else {})
