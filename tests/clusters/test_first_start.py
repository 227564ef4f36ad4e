"""What CI keeps: a key that changes with what is built and with nothing else, before any set-up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from clusters.entries.kind import IMAGES
from lab.model import store

pytestmark = pytest.mark.slow  # each test starts Python several times

SPARED = shutil.ignore_patterns(".git", ".venv", "runs", "tests", "__pycache__", ".*")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("checkout") / "lab"
    shutil.copytree(store.ROOT, copy, ignore=SPARED)
    return copy


def asked(checkout: Path, word: str, *words: str, **env: str) -> str:
    """`python -S -m lab cache-...`: without any installed package."""
    return started(checkout, "-m", "lab", word, *words, **env)


def started(checkout: Path, *words: str, **env: str) -> str:
    """Start Python without any installed package in the checkout; returns what it printed."""
    argv = [sys.executable, "-S", *words]
    own = {**os.environ, "LAB_CACHE": "/kept", "PYTHONPATH": str(checkout), **env}
    done = subprocess.run(argv, cwd=checkout, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


KINDS = ("embedded", "kind")
EACH_KEY = f"""
from lab.__main__ import main
for kind in {KINDS}:
    assert main(["cache-key", "--cluster", kind]) == 0
"""


def keys(checkout: Path) -> dict[str, str]:
    """The key of each kind of cluster, as `cache-key` prints it; one process tells them all."""
    told = started(checkout, "-c", EACH_KEY, LAB_IMAGES="built")
    return dict(zip(KINDS, told.splitlines(), strict=True))


@pytest.fixture(scope="module")
def keys_before(checkout: Path) -> dict[str, str]:
    """The keys of the checkout as it is."""
    return keys(checkout)


INPUTS = [  # what is changed, for which of the two the key is another one then
    ("clusters/stacks/1.31/go.sum", {"embedded", "kind"}),
    ("clusters/stacks/1.31/grpcbin/main.go", {"embedded", "kind"}),
    ("clusters/stacks/1.31-kind/capture/main.go", {"kind"}),
    ("clusters/stacks/containerd/go.mod", {"kind"}),
    ("clusters/kind/kindnet.sh", {"kind"}),
    ("lab/workloads/tools/say", {"kind"}),
    ("requirements.lock", {"kind"}),
    ("README.md", set()),
    ("lab/failures/tcp_mtls.py", set()),
    ("clusters/embedded/host.py", set()),
]


@pytest.mark.parametrize(("path", "concerned"), INPUTS)
def test_the_key_changes_exactly_when_what_is_built_changes(
    path: str, concerned: set[str], checkout: Path, keys_before: dict[str, str]
) -> None:
    file = checkout / path
    content = file.read_text()
    file.write_text(content + "\n")
    try:
        after = keys(checkout)
    finally:
        file.write_text(content)
    assert {kind for kind in KINDS if keys_before[kind] != after[kind]} == concerned


def test_the_key_is_as_before_when_all_content_is(
    checkout: Path, keys_before: dict[str, str]
) -> None:
    """Files written again, as the tests above do, are other files with the same content."""
    for path, _ in INPUTS:
        (checkout / path).write_text((checkout / path).read_text())
    assert keys(checkout) == keys_before
    each = {
        kind: asked(checkout, "cache-key", "--cluster", kind, LAB_IMAGES="built").strip()
        for kind in KINDS
    }
    assert each == keys_before


def test_what_building_costs_is_no_part_of_the_key_and_a_program_is(checkout: Path) -> None:
    spec = checkout / "clusters/stacks/1.31/stack.toml"
    text, before = spec.read_text(), asked(checkout, "cache-key")
    try:
        spec.write_text(re.sub(r"(?m)^minutes = \d+", "minutes = 99", text))
        assert spec.read_text() != text
        assert asked(checkout, "cache-key") == before
        spec.write_text(text.replace('"istio.io/istio/pkg/version.buildVersion" = "1.31"', ""))
        assert asked(checkout, "cache-key") != before
    finally:
        spec.write_text(text)


def test_the_key_is_of_the_cluster_and_of_where_its_programs_come_from(checkout: Path) -> None:
    asks = [{}, {"LAB_CLUSTER": "kind"}, {"LAB_BINARIES": "official"}]
    asks += [{**asks[2], "LAB_ISTIO": "1.30.3"}, {**asks[1], "LAB_IMAGES": "official"}]
    keys = [asked(checkout, "cache-key", **{"LAB_IMAGES": "built", **env}) for env in asks]
    assert len({*keys}) == len(keys)
    elsewhere = asked(checkout, "cache-key", LAB_IMAGES="built", LAB_CACHE="/elsewhere")
    assert elsewhere == keys[0], "where it is kept is the machine's matter"


def test_the_paths_are_those_that_a_start_looks_in(checkout: Path) -> None:
    from clusters.kind.images import Built, Programs
    from clusters.stacks import binaries

    def named(*folders: Path) -> list[str]:
        return [f"/kept/{folder.name}" for folder in folders]

    mesh = binaries.source("1.31").target
    assert asked(checkout, "cache-path").split() == named(mesh)
    kind = asked(checkout, "cache-path", "--cluster", "embedded,kind", LAB_IMAGES="built").split()
    programs = Programs.located("1.31")
    folder = Built(programs, lambda _line: None).folder
    assert kind == named(mesh, programs.kind, programs.runtime, folder)


@pytest.mark.parametrize(
    ("cluster", "told"),
    [("recorded", "nothing is built"), ("context:x", "nothing is built"), ("moon", "embedded")],
)
def test_a_cluster_that_nothing_is_built_for_has_no_key(cluster: str, told: str) -> None:
    argv = [sys.executable, "-m", "lab", "cache-key", "--cluster", cluster]
    done = subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (254, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


SETS = {"embedded": ["1.31"], "kind": ["1.31", "1.31-kind", "containerd"]}


@pytest.mark.parametrize(
    ("cluster", "sets", "images"),
    [
        ("embedded", SETS["embedded"], 0),
        ("kind", SETS["kind"], 1),
        ("embedded,kind", SETS["kind"], 1),
    ],
)
def test_preview_tells_the_cost_of_this_kind_of_cluster(
    cluster: str, sets: list[str], images: int, checkout: Path
) -> None:
    """Sets of programs are built one after the other, a shared one once; then images."""
    costs = [tomllib.loads(specification(name))["build"] for name in sets]
    costs += [IMAGES] * images
    minutes, kept = (sum(cost[what] for cost in costs) for what in ("minutes", "gigabytes_kept"))
    needed = max(cost["gigabytes_needed"] for cost in costs)

    told = asked(checkout, "preview", "--cluster", cluster, LAB_IMAGES="")

    assert f"about {minutes:.0f} minutes on two cores" in told
    assert f"{needed:.0f} GB of disk while it builds" in told
    assert f"{kept:.1f} GB kept in /kept" in told
    assert told.count("official images are fetched instead") == images


def specification(name: str) -> str:
    """Return the text of a set's stack.toml."""
    return (store.ROOT / "clusters/stacks" / name / "stack.toml").read_text()


def test_what_is_fetched_or_recorded_costs_nothing_to_build(checkout: Path) -> None:
    assert not asked(checkout, "preview", "--cluster", "kind", LAB_IMAGES="official")
    assert not asked(checkout, "preview", "--cluster", "embedded", LAB_BINARIES="official")
    assert not asked(checkout, "preview", "--cluster", "recorded")
