"""A cluster that the lab did not create, with istio-cni, and Pod Security `restricted` for all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from foreign import Foreign

from lab.model import evidence

pytestmark = [pytest.mark.kind(own_cluster=True), pytest.mark.timeout(600)]
REFUSED = 'violates PodSecurity "restricted:latest"'


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str, Path]]:
    """A run there: its code, its terminal, its folder."""
    name = f"foreign-restricted-{os.getpid()}"
    made = Foreign(tmp_path_factory.mktemp("restricted"), name, restricted=True)
    try:
        made.create()
        made.install()
        with made.stand_in():
            words = ("run", "tcp_mtls", "rest_mtls", "--cluster", "context:foreign")
            code, said = made.lab(made.grant(), *words)
        yield code, said, made.folder / "runs" / "latest"
    finally:
        made.delete()


def test_the_wire_is_unknown_in_the_clusters_own_words(ended: tuple[int, str, Path]) -> None:
    code, said, folder = ended
    assert code == 3, said
    assert REFUSED in said
    for failure in ("tcp_mtls", "rest_mtls"):
        recorded = evidence.load(folder / failure)
        assert recorded.problems == ()
        for world in recorded.worlds.values():
            assert world.captures == ()
            assert set(world.uncaptured) == set(world.pods)
            assert all(REFUSED in why for why in world.uncaptured.values())
    verdict = json.loads((folder / "tcp_mtls" / "verdict.json").read_text())
    for claim in verdict["claims"]:
        for answer in (claim["as_posted"], claim["today"]):
            assert answer["word"] == "inconclusive"
            assert REFUSED in answer["why"]
            assert answer["proof"]["security"] == "unknown"


def test_the_other_planes_go_on_with_an_access_log_of_the_runs_own(
    ended: tuple[int, str, Path],
) -> None:
    _, said, folder = ended
    verdict = json.loads((folder / "tcp_mtls" / "verdict.json").read_text())
    planes = {one["source"]: one for one in verdict["claims"][0]["as_posted"]["proof"]["planes"]}
    assert planes["packets"]["security"] == "unknown"
    for source in ("server's proxy", "client's proxy", "control plane"):
        assert planes[source]["security"] == "mutual_tls", planes[source]
    assert "server's proxy: mutual TLS" in said
    assert "accessLogFile" not in evidence.load(folder / "tcp_mtls").mesh["config"]


def test_what_is_not_read_from_packets_is_still_judged(ended: tuple[int, str, Path]) -> None:
    summary = json.loads((ended[2] / "summary.json").read_text())
    claims = summary["verdicts"]["rest_mtls"]
    words = {name: (claim["as_posted"], claim["today"]) for name, claim in claims.items()}
    assert words == {
        "C0": ("inconclusive", "reproduced"),  # as posted is read from packets
        "C0a": ("fails otherwise", "reproduced"),
        "C0b": ("inconclusive", "inconclusive"),
        "C0c": ("reproduced", "reproduced"),
    }
