"""Writes verdicts as JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from lab.judge import results
from lab.judge.results import Result
from lab.judge.verdict import Verdict

_FORBIDDEN = re.compile(r"[^\t\n\x20-\uD7FF\uE000-\uFFFD]")


def junit(verdicts: Sequence[Verdict], missing: dict[str, str], seconds: float) -> str:
    """Return JUnit XML: a test case for each result; an inconclusive one is an error."""
    suite = ElementTree.Element("testsuite", name="istio-failure-lab", time=f"{seconds:.1f}")
    for result in results.list_results(verdicts, missing):
        _case(suite, result)
    for kind in ("failure", "error", "testcase"):
        count = len(list(suite.iter(kind)))
        suite.set({"failure": "failures", "error": "errors", "testcase": "tests"}[kind], str(count))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, result: Result) -> None:
    where = {"classname": result.failure, "name": result.name}
    case = ElementTree.SubElement(suite, "testcase", where)
    why, message = (_FORBIDDEN.sub("?", text) for text in (result.why, result.message))
    if result.outcome == "passed":
        ElementTree.SubElement(case, "system-out").text = f"{result.word}: {why}"
        return
    kind = "failure" if result.outcome == "failed" else "error"
    ElementTree.SubElement(case, kind, message=message).text = why if result.word else None
