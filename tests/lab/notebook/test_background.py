"""A cluster that starts while somebody reads: how far it is, and that it is begun anew."""

from __future__ import annotations

from pathlib import Path

import pytest

import lab
from clusters import KINDS, open_cluster
from lab.common import locks
from lab.common.errors import BadArguments
from lab.common.wait import until
from lab.notebook import background

NAME = "background"


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cluster of its own, which nobody has started, and whose start is told elsewhere."""
    monkeypatch.setenv("LAB_CLUSTER_NAME", NAME)
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    monkeypatch.delenv("LAB_CLUSTER", raising=False)


def progress() -> str:
    return str(lab.cluster_progress("embedded"))


def test_every_kind_of_cluster_is_told_with_whether_it_runs_here() -> None:
    rows = lab.this_machine().rows
    assert [row[0] for row in rows] == [one.written for one in KINDS.values()]
    assert all(row[1].startswith(("yes", "no: ")) for row in rows)


def test_without_a_cluster_nothing_is_started_and_nothing_reset(tmp_path: Path) -> None:
    for act in (lab.start_cluster, lab.cluster_progress, lab.reset_cluster):
        said = "No cluster is asked for: lessons show their recorded part."
        assert str(act("recorded")) == said
    assert [*tmp_path.iterdir()] == []


def test_a_cluster_that_the_lab_did_not_make_is_not_reset() -> None:
    with pytest.raises(BadArguments, match="context:theirs is not reset: the lab did not make it"):
        lab.reset_cluster("context:theirs")


def test_a_start_that_has_ended_without_a_cluster_is_told_with_its_last_words() -> None:
    assert "is not started" in progress()
    background.log().write_text("  starting etcd\nerror: no room on the disk\n")
    assert progress().splitlines()[:2] == [
        "The cluster did not start:",
        "error: no room on the disk",
    ]
    with locks.held(background.log().with_suffix(".lock")):
        assert progress().splitlines() == [
            "The cluster is starting:",
            "error: no room on the disk",
        ]
        lab.start_cluster("embedded")  # it starts already: no second process is made
        assert "error: no room on the disk" in progress()


@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_a_cluster_starts_behind_the_notebook_and_is_begun_anew_by_one_call() -> None:
    try:
        assert "The cluster is starting:" in str(lab.start_cluster("embedded"))
        until(lambda: "The cluster is up" in progress(), "a cluster", timeout=120)
        left = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "left-behind"}}
        open_cluster("embedded").kube.create([left])
        assert "The cluster is starting:" in str(lab.reset_cluster("embedded"))
        until(lambda: "The cluster is up" in progress(), "another cluster", timeout=120)
        found = open_cluster("embedded").kube.items("/api/v1/namespaces")
        there = {one["metadata"]["name"] for one in found}
        assert "kube-system" in there
        assert "left-behind" not in there
    finally:
        open_cluster("embedded").down()
    assert "is not started" in progress()
