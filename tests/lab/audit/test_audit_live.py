"""An audit of the lab's own worlds on a real mesh, by the command; nothing is written to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from audited_meshes import WORLDS

from clusters.embedded.cluster import Embedded
from lab.audit.folder import PATHS
from lab.commands.line import main
from lab.model import store
from lab.record import envoy_admin
from lab.record.world import reference

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture
def audited(
    cluster: Embedded,
    namespaces: dict[tuple[str, str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, Any]:
    monkeypatch.setenv("LAB_CLUSTER_NAME", cluster.name)
    file = tmp_path / "audit.json"
    words = [word for one in namespaces.values() for word in ("-n", one)]
    code = main(["audit", "--cluster", "embedded", "--json", str(file), *words])
    told = capsys.readouterr()
    assert code == 1, told
    found: dict[str, Any] = json.loads(file.read_text())
    jsonschema.validate(found, json.loads((store.ROOT / "docs" / "audit.schema.json").read_text()))
    return found


def test_each_worlds_cause_is_found_with_its_objects(
    audited: dict[str, Any], namespaces: dict[tuple[str, str], str]
) -> None:
    posted, numbered, scoped = (namespaces[one] for one in WORLDS)
    found = {(one["rule"], one["about"]): one for one in audited["findings"]}
    excluded = found["tls-to-none", f"excluded.{posted}:8000"]
    assert f'Service {posted}/excluded, port 8000 "http"' in excluded["causes"]
    policy = found["port-number-of-service", f"httpbin.{numbered}:8000"]
    assert policy["causes"][0].endswith("spec.portLevelMtls.8000")
    assert ("plaintext-accepted", f"{numbered}/httpbin") in found
    assert ("passed-through", f"httpbin.{scoped}:8000") in found
    assert audited["not_read"] == []


def test_files_of_the_same_mesh_give_the_same_findings(
    cluster: Embedded,
    audited: dict[str, Any],
    namespaces: dict[tuple[str, str], str],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for path, kind in PATHS.items():
        objects = [{**one, "kind": kind} for one in cluster.kube.items(path)]
        (folder / f"{kind}.yaml").write_text(yaml.safe_dump({"kind": "List", "items": objects}))
    for pod in cluster.kube.items("/api/v1/pods"):
        if reference(pod).has_sidecar:
            dumped = envoy_admin.config_dump(cluster, reference(pod))
            (folder / f"{pod['metadata']['name']}.json").write_text(json.dumps(dumped))
    file = tmp_path / "offline.json"
    words = [word for one in namespaces.values() for word in ("-n", one)]
    assert main(["audit", str(folder), "--json", str(file), *words]) == 1
    offline = json.loads(file.read_text())
    assert offline["findings"] == audited["findings"]


def test_what_is_as_it_should_be_is_no_finding(
    audited: dict[str, Any], namespaces: dict[tuple[str, str], str]
) -> None:
    kept = f"kept.{namespaces[WORLDS[0]]}:8003"
    severe = [one for one in audited["findings"] if one["severity"] == "high"]
    assert [one["rule"] for one in severe if kept in one["to"]] == []
