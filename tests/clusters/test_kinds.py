"""A kind of cluster is one entry of one mapping: all commands, texts and errors come from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import clusters
from clusters import KINDS, first_start, kind_of
from clusters.base import OwnCluster, Status, ports_of
from clusters.doctor.requirement import Requirement
from clusters.entries.entry import ClusterKind
from clusters.stacks.cost import Cost
from lab.__main__ import main
from lab.commands import plan
from lab.common.errors import BadArguments


def test_a_capture_that_takes_ports_has_all_that_a_filter_names() -> None:
    found = ports_of("tcp port 80 or tcp portrange 90-92 or udp portrange 53-53")
    assert found == [80, 90, 91, 92, 53]


@pytest.mark.parametrize("entry", KINDS.values(), ids=list(KINDS))
def test_every_kind_is_complete(entry: ClusterKind, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAB_CLUSTER", "LAB_ISTIO", "LAB_ENVOY", "LAB_BINARIES", "LAB_IMAGES"):
        monkeypatch.delenv(name, raising=False)
    word = entry.written.replace("NAME", "of-mine")
    assert kind_of(word) is entry
    assert entry.summary
    assert entry.runs_here([])
    assert all(isinstance(package, str) for package in entry.programs().values())
    clusters.check_stack(word)
    monkeypatch.setenv("LAB_ISTIO", "1.30")
    monkeypatch.setenv("LAB_ENVOY", "1.40.0")
    if entry.most_nodes != 1:  # of ours, only the embedded cluster takes another Envoy
        with pytest.raises(BadArguments, match=r"cannot be chosen|only"):
            clusters.check_stack(word)
    if entry.made_by_lab:
        assert entry.builds, "the preview says what is built"
        assert clusters.open_cluster(word).kind == entry.name
    else:
        with pytest.raises(BadArguments, match="nothing is built"):
            entry.folders()
        assert not entry.missing()


def test_one_kind_is_the_default_and_one_is_replayed() -> None:
    assert KINDS[clusters.DEFAULT].made_by_lab
    assert [entry.name for entry in KINDS.values() if entry.replayed] == [clusters.REPLAY]


class Moon:
    """A stand-in for a cluster, which says that it is down."""

    kind = "moon"

    def up(self, progress: object) -> None:
        raise BadArguments("no rocket")

    def status(self) -> Status:
        return Status(False, "the moon cluster is not up")


class MoonKind(ClusterKind):
    """A kind of cluster in one entry."""

    name = "moon"
    summary = "far away"
    most_nodes = 2
    builds = "a rocket"

    def open(self, word: str, name: str, nodes: int) -> OwnCluster:
        return Moon()  # type: ignore[return-value]  # it is no cluster: nothing is asked of it

    def check_stack(self, word: str, chosen: Mapping[str, str]) -> None:
        if chosen:
            raise BadArguments("the moon has one stack")

    def examine(self) -> list[Requirement]:
        return [Requirement("rocket", False, "not found", "rocket-bin")]

    def runs_here(self, lacking: Sequence[str]) -> str:
        return "no: no rocket"

    def missing(self) -> Mapping[Path, Cost]:
        return {Path("/moon"): Cost(minutes=3, gigabytes_needed=1, gigabytes_kept=1)}


@pytest.fixture
def moon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "KINDS", {**KINDS, "moon": MoonKind()})
    for name in ("doctor", "arguments"):
        monkeypatch.setattr(f"lab.commands.{name}.KINDS", clusters.KINDS)
    for variable in ("LAB_ISTIO", "LAB_ENVOY", "LAB_NODES", "LAB_CLUSTER"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.usefixtures("moon")
def test_a_new_kind_is_known_everywhere_from_its_entry(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["up", "--cluster", "moon"]) == 254
    assert "no rocket" in capsys.readouterr().err
    assert main(["status", "--cluster", "moon"]) == 1
    assert "the moon cluster is not up" in capsys.readouterr().out
    assert main(["up", "--cluster", "mon"]) == 254
    assert "did you mean moon? there is embedded, kind, context:NAME, recorded, moon" in (
        capsys.readouterr().err
    )
    assert main(["doctor", "--cluster", "moon"]) == 1
    assert "MISSING  rocket           not found" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    assert "moon" in capsys.readouterr().out
    assert plan.plan(["tcp_mtls"], {}, "moon", False).command.endswith("CLUSTER=moon")
    assert (first_start.cost("moon") or {})["minutes"] == 3
    assert main(["preview", "--cluster", "moon"]) == 0
    assert "This first start builds a rocket." in capsys.readouterr().out
    monkeypatch.setenv("LAB_NODES", "3")
    assert main(["up", "--cluster", "moon"]) == 254
    assert "the moon cluster takes at most NODES=2" in capsys.readouterr().err
    monkeypatch.setenv("LAB_ISTIO", "1.30")
    assert main(["run", "tcp_mtls", "--cluster", "moon"]) == 254
    assert "the moon has one stack" in capsys.readouterr().err
