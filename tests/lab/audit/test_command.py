"""The command, on config dumps in files: what it prints, writes, and ends with."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from lab.audit.changed import generator
from lab.audit.objects import Objects
from lab.audit.rule import ObjectRule
from lab.audit.rules import rules
from lab.commands.line import main
from lab.common.errors import BadEvidence
from lab.model import store

SCHEMA = store.ROOT / "docs" / "audit.schema.json"


def dumps(failure: str, into: Path) -> Path:
    """Copy the configurations of a failure's posted world."""
    for path in (store.RECORDED / failure / "config").glob("posted-*.json.gz"):
        if "remedies" not in path.name:
            (into / path.name).write_bytes(path.read_bytes())
    return into


def test_what_is_found_ends_with_1_and_is_written_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    words = ["--json", str(tmp_path / "a.json"), "--show", "low"]
    code = main(["audit", str(dumps("wrong_version_number", folder)), *words])
    said = capsys.readouterr().out
    assert code == 1, said
    told = json.loads((tmp_path / "a.json").read_text())
    jsonschema.validate(told, json.loads(SCHEMA.read_text()))
    for one in told["findings"]:
        assert one["rule"] in said


def test_a_file_that_is_no_dump_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dump.json").write_text("{}")
    assert main(["audit", str(tmp_path)]) not in (0, 1)
    assert "Traceback" not in capsys.readouterr().err


def test_files_are_not_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    asked = str(dumps("wrong_version_number", folder))
    assert main(["audit", asked, "--verify", "1"]) == 254
    assert "needs a running cluster" in capsys.readouterr().err


def test_what_is_known_already_does_not_fail_a_build(tmp_path: Path) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    asked, known = str(dumps("wrong_version_number", folder)), str(tmp_path / "known.json")
    first = main(["audit", asked, "--json", known, "--junit", str(tmp_path / "first.xml")])
    again = main(["audit", asked, "--baseline", known, "--junit", str(tmp_path / "again.xml")])
    assert (first, again) == (1, 0)
    failures = [
        int(ElementTree.parse(tmp_path / f"{name}.xml").getroot().get("failures", "0"))
        for name in ("first", "again")
    ]
    assert failures[0] > 0
    assert failures[1] == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"findings": [1]}'])
def test_a_baseline_that_is_no_audit_is_a_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    (tmp_path / "known.json").write_text(text)
    asked = str(dumps("wrong_version_number", folder))
    assert main(["audit", asked, "--baseline", str(tmp_path / "known.json")]) == 254
    assert "is no audit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("kind: Pod\nmetadata: 1\n", 1),  # not whole, so the dumps alone are audited
        ("kind: List\nitems: [1]\n", BadEvidence("").exit_code),
        (
            "kind: List\nitems: [{kind: Pod}, {kind: Service}, {kind: EndpointSlice}]\n",
            BadEvidence("").exit_code,
        ),
        ("kind: [\n", BadEvidence("").exit_code),
        ("{a: " * 2000, BadEvidence("").exit_code),
    ],
)
def test_objects_that_are_none_of_kubernetes_are_a_sentence(
    text: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (dumps("wrong_version_number", folder) / "objects.yaml").write_text(text)
    assert main(["audit", str(folder)]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_change_needs_the_objects_of_the_mesh_and_manifests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, change = tmp_path / "dumps", tmp_path / "strict.yaml"
    folder.mkdir()
    asked = str(dumps("wrong_version_number", folder))
    change.write_text("# nothing\n")
    assert main(["audit", asked, "--with", str(change)]) == 254
    assert "no manifest is in" in capsys.readouterr().err
    change.write_text("{apiVersion: v1, kind: Service, metadata: {name: web}}\n")
    assert main(["audit", asked, "--with", str(change)]) == 254
    assert "objects are not in the files" in capsys.readouterr().err


def test_a_policy_without_a_specification_is_one() -> None:
    policy = {"kind": "PeerAuthentication", "metadata": {"namespace": "shop", "name": "default"}}
    assert [
        found
        for rule in rules()
        if isinstance(rule, ObjectRule)
        for found in rule.found(Objects(peer_authentications=[policy]))
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}",
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: 1}}",
        "{apiVersion: v1, kind: Service, metadata: {name: web}}",
        "{apiVersion: v1, kind: Service, metadata: {}}",
    ],
)
def test_manifests_that_are_none_are_a_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "build", lambda _plane, _progress: None)
    monkeypatch.setattr(generator, "inject", lambda _plane, _pods, _mesh: [])
    (tmp_path / "web.yaml").write_text(text)
    assert main(["audit", str(tmp_path)]) in (254, BadEvidence("").exit_code)
    assert "Traceback" not in capsys.readouterr().err


def test_lines_are_of_files_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--cluster", "embedded", "--sarif", "out.sarif"]) == 254
    assert "it needs files of manifests" in capsys.readouterr().err
