"""An audit as SARIF: levels, places, and what is known already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.audit import sarif
from lab.audit.findings import Finding
from lab.audit.manifest_lines import Line, Named
from lab.audit.rule import ObjectRule

RULE = ObjectRule("a-rule", "high", "is so", "It means this.", "Heal it.", (), lambda _: ())
LINES: dict[Named, Line] = {
    ("PeerAuthentication", "shop", "default"): Line(Path("k8s/policy.yaml"), 3),
    ("Service", "shop", "web"): Line(Path("k8s/web.yaml"), 1),
    ("Deployment", "shop", "web"): Line(Path("k8s/web.yaml"), 12),
}


def places(about: str, *causes: str) -> list[tuple[str, int]]:
    found = result(Finding(RULE, about, causes, ()))
    return [
        (one["physicalLocation"]["artifactLocation"]["uri"],
         one["physicalLocation"]["region"]["startLine"])
        for one in (*found["locations"], *found["relatedLocations"])
    ]  # fmt: skip


def result(finding: Finding, known: frozenset[str] = frozenset()) -> Any:
    told = sarif.told([finding], [RULE], LINES, known)
    assert told["version"] == "2.1.0"
    (run,) = told["runs"]
    assert [one["id"] for one in run["tool"]["driver"]["rules"]] == ["a-rule"]
    (made,) = run["results"]
    return made


@pytest.mark.parametrize(
    ("about", "causes", "expected"),
    [
        (
            "web.shop:8000",
            ("PeerAuthentication shop/default, spec.portLevelMtls.8000",),
            [("k8s/policy.yaml", 3), ("k8s/web.yaml", 1)],
        ),
        ("web.shop:8000", ('Service shop/web, port 8000 "udp-web"',), [("k8s/web.yaml", 1)]),
        ("shop/web", ("pod shop/web-0",), [("k8s/web.yaml", 12)]),
        ("shop/web", ("runAsUser or runAsGroup 1337 of shop/web",), [("k8s/web.yaml", 12)]),
        ("shop/web", (), [("k8s/web.yaml", 12)]),
        ("db.other:3306", ("DestinationRule other/db",), []),
    ],
)
def test_a_finding_is_at_the_lines_of_its_objects(
    about: str, causes: tuple[str, ...], expected: list[tuple[str, int]]
) -> None:
    assert places(about, *causes) == expected


def test_what_a_baseline_has_is_unchanged_and_all_else_new() -> None:
    finding = Finding(RULE, "web.shop:8000", (), ())
    assert result(finding)["baselineState"] == "new"
    assert result(finding, frozenset({finding.fingerprint}))["baselineState"] == "unchanged"
    assert result(finding)["partialFingerprints"] == {"istioLab/v1": finding.fingerprint}
    assert result(finding)["level"] == "error"


def test_a_file_of_this_folder_is_named_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = {("Service", "shop", "web"): Line(tmp_path / "k8s" / "web.yaml", 1)}
    told = sarif.told([Finding(RULE, "web.shop:8000", (), ())], [RULE], lines, ())
    where = told["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert where["artifactLocation"]["uri"] == "k8s/web.yaml"
