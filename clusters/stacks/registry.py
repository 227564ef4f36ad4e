"""Images of a registry, as archives on the disk: without an engine, and without root.

skopeo (https://github.com/containers/skopeo) does what can go wrong: a registry's tokens, which
image of a list is this machine's, and the digest of every blob. LAB_REGISTRY=HOST:PORT is a
mirror that is asked for all of them, by the same paths; on loopback it may speak plain HTTP.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from lab.common import shell
from lab.common.errors import LabError, NeedsUnmet

PATIENCE = 5
"""Seconds in which a registry has to answer to be one in reach."""
HINT = "is the registry in reach, and does it have this image?"


def mirror() -> str:
    """Return HOST:PORT that is asked instead of every registry, or nothing."""
    return os.environ.get("LAB_REGISTRY", "")


def answers(image: str) -> bool:
    """Tell whether a registry gives this image's manifest, within five seconds."""
    if shutil.which("skopeo") is None:
        return False
    argv = ["skopeo", f"--command-timeout={PATIENCE}s", "inspect", *_trust(), "--raw"]
    return subprocess.run([*argv, _source(image)], capture_output=True).returncode == 0


def fetch(image: str, into: Path, name: str = "") -> str:
    """Write an image as `docker save` would, under a name; return `image@digest`.

    image: `docker.io/istio/pilot:1.31.0`, or with a digest. The digest returned is that of the
    manifest, or of the list of manifests; skopeo refuses anything that is not of it.
    Raises NeedsUnmet without skopeo, CommandFailed with skopeo's own words.
    """
    if shutil.which("skopeo") is None:
        raise NeedsUnmet(
            "fetching images from a registry needs skopeo, which is not installed",
            hint="on Debian: apt-get install skopeo; or build them: IMAGES=built BINARIES=built",
        )
    path, which = _path(image)
    digest = which.removeprefix("@") if "@" in which else _digest(image, into.parent)
    target = f"docker-archive:{into}" + (f":{name}" if name else "")
    argv = ["skopeo", "copy", "--quiet", "--retry-times=2", *_trust("src-")]
    shell.run([*argv, _source(f"{path}@{digest}"), target], cwd=into.parent, hint=HINT)
    return f"{image.partition('@')[0]}@{digest}"


def _digest(image: str, folder: Path) -> str:
    """Return the digest of what a tag stands for now."""
    argv = ["skopeo", "--command-timeout=60s", "inspect", *_trust(), "--raw", _source(image)]
    manifest = shell.run(argv, cwd=folder, hint=HINT)
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


def take(archive: Path, wanted: Mapping[str, Path]) -> None:
    """Copy files out of an image: by the end of their path (`kubectl`, `kind/version`), to ours.

    The uppermost layer that has one decides; one that a layer above has deleted is not there.
    Raises LabError that names a file which the image does not have.
    """
    left, gone = dict(wanted), set[str]()
    with tarfile.open(archive) as outer:
        for layer in reversed(_json(outer, "manifest.json")[0]["Layers"]):
            with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
                deleted = _take(inner, left, gone)
            gone |= deleted
    if left:
        raise LabError(f"{archive.name} holds no {', '.join(left)}")


def _take(layer: tarfile.TarFile, left: dict[str, Path], gone: set[str]) -> set[str]:
    """Copy what one layer has of it; return the paths that it deletes from the layers below.

    https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
    """
    deleted = set()
    for member in layer:
        path = Path("/", member.name)
        if path.name == ".wh..wh..opq":
            deleted.add(str(path.parent))
        elif path.name.startswith(".wh."):
            deleted.add(str(path.with_name(path.name.removeprefix(".wh."))))
        name = next((one for one in left if str(path).endswith(f"/{one}")), "")
        if name and member.isreg() and not gone & {*map(str, [path, *path.parents])}:
            content = layer.extractfile(member)
            assert content  # a regular file has one
            with left.pop(name).open("wb") as file:
                shutil.copyfileobj(content, file)
    return deleted


def _json(archive: tarfile.TarFile, name: str) -> list[dict[str, list[str]]]:
    file = archive.extractfile(name)
    assert file
    listed: list[dict[str, list[str]]] = json.load(file)
    return listed


def _path(image: str) -> tuple[str, str]:
    """Return the image without tag and digest, and what follows: `:1.31.0`, `@sha256:...`.

    skopeo takes a tag or a digest; of both the digest is the narrower.
    """
    name, at, digest = image.partition("@")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    return f"{head}{slash}{last}", f"@{digest}" if at else f"{colon}{tag}"


def _source(image: str) -> str:
    path, which = _path(image)
    registry, _, rest = path.partition("/")
    return f"docker://{mirror() or registry}/{rest}{which}"


def _trust(prefix: str = "") -> list[str]:
    """Return skopeo's arguments: certificates are checked, except for a mirror on this machine."""
    host = mirror().rpartition(":")[0].strip("[]")
    try:
        own = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = False
    return [f"--{prefix}tls-verify={str(not own).lower()}"]
