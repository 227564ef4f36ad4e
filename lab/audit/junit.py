"""An audit as JUnit XML: a test case for each rule, and a failure for each new finding."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from xml.etree import ElementTree

from lab.audit.edges import Walked
from lab.audit.findings import Finding, Key
from lab.audit.rule import Rule
from lab.audit.verify import Verified
from lab.common.text import printable


def junit(
    walked: Walked,
    rules: Sequence[Rule],
    counted: Collection[Finding],
    verified: Mapping[Key, Verified],
) -> str:
    """Return JUnit XML. counted: the findings that a build is to fail by.

    What could not be read is an error.
    """
    suite = ElementTree.Element("testsuite", name="istio-lab audit")
    for rule in rules:
        own = [one for one in counted if one.rule is rule]
        for one in own:
            _case(suite, rule.name, one.about, "failure", _told(one, verified.get(one.key)))
        if not own:
            ElementTree.SubElement(suite, "testcase", classname="audit", name=rule.name)
    for unread in walked.unread:
        _case(suite, "not read", unread.what, "error", unread.why)
    for element, total in (("failure", "failures"), ("error", "errors"), ("testcase", "tests")):
        suite.set(total, str(len([*suite.iter(element)])))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, rule: str, about: str, kind: str, told: str) -> None:
    name = printable(f"{rule}: {about}")
    case = ElementTree.SubElement(suite, "testcase", classname="audit", name=name)
    ElementTree.SubElement(case, kind, message=printable(told)[:200]).text = printable(told)


def _told(one: Finding, verified: Verified | None) -> str:
    causes = "; ".join(one.causes)
    wire = f" {verified.said}: {verified.saw}." if verified else ""
    return f"{one.rule.says}; because of {causes or one.about}.{wire} {one.rule.heals}"
