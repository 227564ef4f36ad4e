"""The comparison of what clusters make of the same sidecars, on what a real one made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from clusters.embedded.cluster import Embedded
from clusters.kind.cluster import Kind
from lab import fidelity
from lab.commands import side_by_side
from lab.common.errors import BadEvidence
from lab.common.wait import until
from lab.record import world

pytestmark = pytest.mark.cluster
NAMES = ("embedded", "another")


@pytest.fixture(scope="module")
def twice(cluster: Embedded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same cluster, recorded in two runs: namespaces, names and addresses are not the same."""
    runs = [tmp_path_factory.mktemp(f"run-{name}") for name in ("a", "b")]
    # Other tests' Services, which every proxy is told of until their namespaces are gone.
    until(lambda: not being_removed(cluster), "other tests' namespaces to be gone", timeout=90)
    for run in runs:
        fidelity.record(cluster, run)
        gone = run.name.lower()
        until(
            lambda name=gone: not world.namespaces_of_run(cluster, name),
            "its namespace to be gone",
            timeout=60,
        )
    return runs[0], runs[1]


def being_removed(cluster: Embedded) -> list[str]:
    """Which namespaces are on their way out."""
    return [
        one["metadata"]["name"]
        for one in cluster.kube.items("/api/v1/namespaces")
        if "deletionTimestamp" in one["metadata"]
    ]


@pytest.fixture
def changed(twice: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the second, to be changed."""
    shutil.copytree(twice[1], tmp_path / "run")
    return tmp_path / "run"


def test_one_cluster_recorded_twice_differs_in_nothing(twice: tuple[Path, Path]) -> None:
    found = fidelity.compare(*twice, NAMES)
    assert [one.line for one in found.differences] == []
    assert found.exit_code == 0
    assert len(found.workloads) == 7
    assert all(number > 20 for number in found.same.values()), found.same
    assert "none differs" in found.sentence


@pytest.mark.parametrize(
    ("file", "old", "new", "part"),
    [
        ("client/iptables.txt", "--to-ports 15001", "--to-ports 15002", "iptables"),
        ("client/iptables.txt", "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT\n", "", "iptables"),
        ("httpbin/pod.json", '"runAsUser": 1337', '"runAsUser": 1338', "pod"),
        ("b/config.json", 'certificate": true', 'certificate": false', "listeners"),
        ("client/config.json", '"sni": "outbound_.8080_', '"sni": "outbound_.8081_', "clusters"),
        ("client/config.json", '"health_status": "HEALTHY"', '"health_status": "x"', "endpoints"),
        ("client/config.json", '"name": "allow_any"', '"name": "none"', "routes"),
    ],
)
def test_a_change_of_one_line_is_found_and_not_explained(
    twice: tuple[Path, Path], changed: Path, file: str, old: str, new: str, part: str
) -> None:
    path = changed / fidelity.FOLDER / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    found = fidelity.compare(twice[0], changed, NAMES)
    assert found.exit_code == 1
    assert {one.part for one in found.unexplained} == {part}
    assert "NOT EXPLAINED: only " in fidelity.text(found, 100)


@pytest.mark.kind
@pytest.mark.timeout(600)  # whichever test is first makes the kind cluster
def test_every_line_in_which_kind_differs_is_explained(
    twice: tuple[Path, Path], kind_cluster: Kind, tmp_path: Path
) -> None:
    run = tmp_path / "run-k"
    fidelity.record(kind_cluster, run)
    found = fidelity.compare(twice[0], run, ("embedded", "kind"))
    assert [(one.only, one.part, one.line) for one in found.unexplained] == []
    assert found.differences, "two clusters are never the same to the last line"
    assert found.exit_code == 0


def test_what_is_damaged_or_not_there_is_no_agreement(
    twice: tuple[Path, Path], changed: Path
) -> None:
    (changed / fidelity.FOLDER / "client" / "config.json").write_text("{")
    with pytest.raises(BadEvidence, match="client"):
        fidelity.compare(twice[0], changed, NAMES)
    shutil.rmtree(changed / fidelity.FOLDER / "client")
    with pytest.raises(BadEvidence, match="recorded"):
        fidelity.compare(twice[0], changed, NAMES)


def test_an_explanation_is_needed_for_each_line(twice: tuple[Path, Path], changed: Path) -> None:
    """A node of another name is explained; a pod that says so somewhere else is not."""
    for path in (changed / fidelity.FOLDER).glob("*/pod.json"):
        pod = json.loads(path.read_text())
        pod["spec"]["nodeName"] = "elsewhere"
        path.write_text(json.dumps(pod))
    found = fidelity.compare(twice[0], changed, NAMES)
    assert [one.why for one in found.differences] == ["the node's name"] * 2
    assert found.exit_code == 0
    assert "2 differ, and each is explained" in found.sentence


def test_a_cluster_that_died_before_it_was_recorded_makes_the_comparison_unsure(
    twice: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    side_by_side.record(Embedded("never-up"), tmp_path)
    assert side_by_side.sidecars(twice[0], tmp_path, NAMES, 100) == 3
    said = capsys.readouterr().out
    assert "not recorded: " in said
    assert "The sidecars cannot be compared: not the same sidecars were recorded: " in said
