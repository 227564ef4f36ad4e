"""An audit of manifests as SARIF 2.1.0: each finding at the line of an object that is the reason.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.audit import seen
from lab.audit.changed.kinds import RUNS_PODS
from lab.audit.findings import Finding
from lab.audit.manifest_lines import Line, Named
from lab.audit.rule import Rule, Severity
from lab.common import places

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Mapping[Severity, str] = {"high": "error", "medium": "warning", "low": "note"}
SCORES: Mapping[Severity, str] = {"high": "8.0", "medium": "5.0", "low": "2.0"}
"""By which a code host orders security findings; it takes 7.0 and more for high."""
_OBJECT = re.compile(r"(?:([A-Z][A-Za-z]+) )?([a-z0-9][a-z0-9-]*)/([a-z0-9][a-z0-9.-]*)")
_HOST = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)(?:\.svc\.cluster\.local)?:\d+")


def told(
    findings: Sequence[Finding],
    rules: Sequence[Rule],
    lines: Mapping[Named, Line],
    known: Collection[str],
) -> dict[str, Any]:
    """Return an audit as SARIF. lines: where each object is written.

    known: fingerprints of an earlier audit. A finding none of whose objects is in a file has no
    place.
    """
    driver = {
        "name": "istio-lab audit",
        "version": places.version(),
        "rules": [_rule(one) for one in rules],
    }
    results = [_result(one, lines, known) for one in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.says},
        "fullDescription": {"text": rule.means},
        "help": {"text": rule.heals},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"tags": ["security"], "security-severity": SCORES[rule.severity]},
    }


def _result(one: Finding, lines: Mapping[Named, Line], known: Collection[str]) -> dict[str, Any]:
    causes = "; ".join(one.causes) or one.about
    where = [_location(lines[each]) for each in _objects(one, lines)]
    return {
        "ruleId": one.rule.name,
        "level": LEVELS[one.rule.severity],
        "message": {"text": f"{one.about}: {one.rule.says}; because of {causes}. {one.rule.heals}"},
        "locations": where[:1],
        "relatedLocations": where[1:],
        "partialFingerprints": {"istioLab/v1": one.fingerprint},
        "baselineState": "unchanged" if one.fingerprint in known else "new",
    }


def _location(line: Line) -> dict[str, Any]:
    here = Path.cwd()
    path = line.path.relative_to(here) if line.path.is_relative_to(here) else line.path
    artifact = {"uri": path.as_posix()}
    return {
        "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": line.number}}
    }


def _objects(one: Finding, lines: Mapping[Named, Line]) -> list[Named]:
    """Return the objects of a finding that are in files: its causes, else what is called."""
    named = [each for text in one.causes for each in _named(text)]
    called = [("Service", host[2], host[1]) for host in _HOST.finditer(one.about)]
    ends = [
        (kind, namespace, name)
        for pod in (one.about.removeprefix("pod "), *one.callers)
        for namespace, _, name in [seen.workload(pod).partition("/")]
        for kind in sorted(RUNS_PODS)
    ]
    found = [each for each in (*named, *called) if each in lines]
    return [*dict.fromkeys(found or (each for each in ends if each in lines))]


def _named(text: str) -> Iterator[Named]:
    """Yield what a cause names: an object by its kind, or a workload, of whichever kind."""
    for kind, namespace, name in _OBJECT.findall(text):
        if kind:
            yield kind, namespace, name.rstrip(".")
        else:
            own = seen.workload(f"{namespace}/{name}").partition("/")[2]
            yield from ((one, namespace, own) for one in sorted(RUNS_PODS))
