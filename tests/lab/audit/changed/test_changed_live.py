"""What `--with` foretells of a real mesh, and what comes of it when it is done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import changing
import jsonschema
import pytest
import yaml

from clusters import mesh
from clusters.embedded.cluster import Embedded
from clusters.kube import Obj
from lab import failures
from lab.audit import edges
from lab.audit.changed import compare, live
from lab.audit.folder import Files, StoredObjects
from lab.commands.line import main
from lab.common.errors import BadEvidence
from lab.common.wait import until
from lab.model import store
from lab.model.parameters import with_parameters
from lab.record import readiness, world
from lab.record.world import LiveWorld

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
RUN = "20000101t000000z-with"
EXCLUDED, HEADLESS = ("wrong_version_number", "posted"), ("headless_one_socket", "posted")
Worlds = Mapping[tuple[str, str], LiveWorld]


@pytest.fixture(scope="module")
def worlds(cluster: Embedded) -> Iterator[Worlds]:
    """Two namespaces with strangers: an excluded port in one, headless Services in the other."""
    settings, made = mesh.read(cluster.kube), {}
    try:
        for name, declared in (EXCLUDED, HEADLESS):
            failure = failures.load(name)
            defaults = {key: one.default for key, one in failure.parameters.items()}
            failure = with_parameters(failure, defaults)
            made[name, declared] = world.deploy(
                cluster, failure.world(declared), RUN, name, settings
            )
        for one in made.values():
            readiness.wait_ready(cluster, one)
            assert readiness.wait_active(cluster, one) == ""
        yield made
    finally:
        world.remove(cluster, RUN)
        # What goes meanwhile would be seen by the next tests' audits.
        until(lambda: not world.namespaces_of_run(cluster, RUN), "their end", timeout=60, every=0.2)


@pytest.fixture
def files(cluster: Embedded, worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> Files:
    """The mesh as it is, with the two namespaces in it; `--cluster embedded` is that cluster."""
    monkeypatch.setenv("LAB_CLUSTER_NAME", cluster.name)
    return live.read(cluster, print)


def test_istiods_own_code_generates_what_every_proxy_holds(files: Files) -> None:
    told = changing.foretold(files, [])
    assert len(told.proxies) >= 4
    assert {one.known for one in told.proxies.values()} == {"held"}, told.proxies


def test_without_a_live_dump_the_node_comes_from_the_pod_and_nothing_is_called_held(
    files: Files,
) -> None:
    told = changing.foretold(Files(files.objects, {}), [])
    assert {one.known for one in told.proxies.values()} == {"generated, not held"}
    assert changing.differing(told, files) == {}


def test_objects_that_are_missing_make_a_proxy_unknown_and_name_what_differs(
    worlds: Worlds, files: Files
) -> None:
    lacking = StoredObjects()
    for one in files.objects.every:
        if one["kind"] != "PeerAuthentication":
            lacking.add(one)
    told = changing.foretold(Files(lacking, files.dumps), [])
    server, other = worlds[HEADLESS].pods["httpbin"], worlds[EXCLUDED].pods["excluded"]
    found = told.proxies[f"{server.namespace}/{server.name}"]
    assert found.known == "unknown"
    assert any(one.startswith("listener virtualInbound differs at ") for one in found.why)
    assert told.proxies[f"{other.namespace}/{other.name}"].known == "held"
    with pytest.raises(BadEvidence, match="is unknown: "):
        told.after_of(server)
    walked = edges.walk_all(told.after)
    assert any(one.what == f"{server.namespace}/{server.name}" for one in walked.unread)
    towards = [one for one in walked.edges if f"web-c.{server.namespace}:" in one.to.name]
    assert {one.way.outcome for one in towards} == {"unknown"}


MANAGED = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")


def as_manifest(one: Obj) -> Obj:
    """An object as a person writes it: without what the cluster has added."""
    kept = ("name", "namespace", "labels", "annotations")
    meta = {key: one["metadata"][key] for key in kept if key in one["metadata"]}
    made = {**{key: value for key, value in one.items() if key != "status"}, "metadata": meta}
    if one["kind"] == "Service" and one["spec"].get("clusterIP") != "None":
        made["spec"] = {key: value for key, value in one["spec"].items() if key not in MANAGED}
    return made


def test_the_manifests_of_a_mesh_are_audited_as_the_mesh_that_runs(
    cluster: Embedded, worlds: Worlds, files: Files, tmp_path: Path
) -> None:
    spaces = [one.namespace for one in worlds.values()]
    made = ("Pod", "EndpointSlice", "ServiceAccount", "Node")
    wanted = [
        one
        for one in files.objects.every
        if one["metadata"].get("namespace", one["metadata"]["name"]) in spaces
        and one["kind"] not in made
    ]
    for space in spaces:
        path = f"/apis/apps/v1/namespaces/{space}/deployments"
        head = {"apiVersion": "apps/v1", "kind": "Deployment"}
        wanted += [{**one, **head} for one in cluster.kube.items(path)]
    wanted += [one for one in files.objects.every if one["metadata"]["name"] == "istio"]
    folder = tmp_path / "k8s"
    folder.mkdir()
    (folder / "all.yaml").write_text(yaml.safe_dump_all(map(as_manifest, wanted)))
    chosen = [word for one in spaces for word in ("-n", one)]
    told: list[dict[str, Any]] = []
    for name, asked in (("live", ["--cluster", "embedded"]), ("files", [str(folder)])):
        sarif = ["--sarif", str(tmp_path / "out.sarif")] if name == "files" else []
        file = tmp_path / f"{name}.json"
        assert main(["audit", *asked, *chosen, "--json", str(file), *sarif]) == 1
        told.append(json.loads(file.read_text()))
    both = [
        {(one["rule"], one["about"]): one["fingerprint"] for one in each["findings"]
         if any(space in one["about"] for space in spaces)}
        for each in told
    ]  # fmt: skip
    assert both[0] == both[1]
    assert {"plaintext-accepted", "tls-to-none"} <= {rule for rule, _ in both[1]}
    assert told[1]["assumed"]
    results = json.loads((tmp_path / "out.sarif").read_text())["runs"][0]["results"]
    found = {(one["ruleId"], one["partialFingerprints"]["istioLab/v1"]) for one in results}
    assert {(rule, fingerprint) for (rule, _), fingerprint in both[1].items()} <= found
    lines = (folder / "all.yaml").read_text().splitlines()
    for one in results:
        for where in one["locations"]:
            first = where["physicalLocation"]["region"]["startLine"]
            assert first == 1 or lines[first - 2] == "---"


def test_exit_codes_tell_a_change_of_nothing_from_one_that_is_not_reproduced(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "change.yaml"
    asked = ["audit", "--cluster", "embedded", "--with", str(file)]
    file.write_text("{apiVersion: v1, kind: ServiceAccount, metadata: {name: nobody}}\n")
    assert main(asked) == 0
    assert "no edge changes" in capsys.readouterr().out
    file.write_text("{apiVersion: apps/v1, kind: Deployment, metadata: {name: nobody}}\n")
    assert main(asked) == 3
    assert "not applied: Deployment default/nobody: pods stay" in capsys.readouterr().out
    spec = "spec: {mtls: {mode: STRIKT}}"
    head = "apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default}"
    file.write_text(f"{{{head}, {spec}}}\n")
    assert main(asked) == 255
    assert "PeerAuthentication default/default: unknown value" in capsys.readouterr().err


def test_strict_breaks_whom_it_was_foretold_to_break(
    cluster: Embedded, worlds: Worlds, files: Files, tmp_path: Path
) -> None:
    there = worlds[EXCLUDED]
    change, file = changing.strict(there.namespace), tmp_path / "strict.yaml"
    file.write_text(yaml.safe_dump(change))
    words = ["--with", str(file), "--json", str(tmp_path / "audit.json")]
    assert main(["audit", "--cluster", "embedded", *words]) == 1
    told: dict[str, Any] = json.loads((tmp_path / "audit.json").read_text())
    jsonschema.validate(told, json.loads((store.ROOT / "docs" / "audit.schema.json").read_text()))
    breaks = {
        (one["caller"], one["to"])
        for one in told["with"]["edges"]
        if one["effect"] == "breaks"
    }  # fmt: skip
    kept = f"kept.{there.namespace}:8003"
    assert ("a client outside the mesh", kept) in breaks
    assert (f"{there.namespace}/client", kept) not in breaks
    assert not any(f"excluded.{there.namespace}" in to for _, to in breaks)

    calls = [(source, f"http://{name}") for source in ("client", "stranger")
             for name in ("kept:8003/get", "excluded:8000/get")]  # fmt: skip
    before = {call: changing.called(cluster, there, *call) for call in calls}
    expected = changing.foretold(files, [change])
    after_files = changing.applied(cluster, [change], expected)
    after = {call: changing.called(cluster, there, *call) for call in calls}
    assert before["stranger", "http://kept:8003/get"] == "200"
    assert after["stranger", "http://kept:8003/get"] == "000"
    changed = {call for call in calls if before[call] != after[call]}
    assert changed == {("stranger", "http://kept:8003/get")}

    was, becomes = (edges.walk_all(one) for one in (expected.before, changing.real(after_files)))
    assert compare.changes(edges.walk_all(expected.after), becomes) == []
    seen = {(one.caller, one.to) for one in compare.changes(was, becomes) if one.effect == "breaks"}
    assert seen == breaks


def test_a_renamed_port_and_its_endpoints_are_foretold(
    cluster: Embedded, worlds: Worlds, files: Files
) -> None:
    there = worlds[HEADLESS]
    service = next(
        one
        for one in files.objects.items("/api/v1/services")
        if (one["metadata"]["namespace"], one["metadata"]["name"]) == (there.namespace, "web-c")
    )
    (port,) = service["spec"]["ports"]
    meta = {key: service["metadata"].get(key) for key in ("name", "namespace", "annotations")}
    renamed = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {
            "selector": service["spec"]["selector"],
            "ports": [{"name": "tcp-web", "port": port["port"], "targetPort": port["targetPort"]}],
        },
    }
    expected = changing.foretold(files, [renamed])
    after_files = changing.applied(cluster, [renamed], expected)
    slices = [
        one
        for one in after_files.objects.items("/apis/discovery.k8s.io/v1/endpointslices")
        if one["metadata"]["labels"].get("kubernetes.io/service-name") == "web-c"
    ]
    assert [one["ports"][0]["name"] for one in slices] == ["tcp-web"]
    both = edges.walk_all(expected.after), edges.walk_all(changing.real(after_files))
    assert compare.changes(*both) == []
