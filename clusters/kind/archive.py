"""Container images as plain files: layers are tar archives, images are JSON beside them.

Written here without an engine and without root, so that the same bytes come of the same inputs.
What is written is `docker save`'s format, which docker, containerd and registries' tools read:
https://github.com/moby/docker-image-spec/blob/main/spec.md
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import stat
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusters.stacks.cache import sha256

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Layer:
    """One tar archive, known by the digest of its content."""

    path: Path
    digest: str

    @classmethod
    def from_file(cls, path: Path) -> Layer:
        """Return the layer that a tar archive is."""
        return cls(path, sha256(path))


@dataclass(frozen=True)
class Image:
    """A name, layers from the bottom up, and how it is started."""

    name: str
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...] = ()
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""

    @property
    def config(self) -> bytes:
        """Return the image's configuration, whose digest is the image's id."""
        config: dict[str, Any] = {
            "Entrypoint": list(self.entrypoint),
            "Env": [f"{name}={value}" for name, value in self.env.items()],
            "User": self.user,
            "WorkingDir": "/",
        }
        if self.stop_signal:
            config["StopSignal"] = self.stop_signal
        whole = {
            "architecture": ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": config,
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{layer.digest}" for layer in self.layers],
            },
        }
        return json.dumps(whole, sort_keys=True).encode()


def save(images: Iterable[Image], path: Path) -> None:
    """Write images as one archive; a layer that several share is in it once."""
    manifest, written = [], set()
    with tarfile.open(path, "w") as archive:
        for image in images:
            config = f"{hashlib.sha256(image.config).hexdigest()}.json"
            layers = [f"{layer.digest}/layer.tar" for layer in image.layers]
            manifest.append({"Config": config, "RepoTags": [image.name], "Layers": layers})
            for layer, name in zip(image.layers, layers, strict=True):
                if name not in written:
                    archive.add(layer.path, name, filter=_plain)
                    written.add(name)
            if config not in written:
                _add(archive, config, image.config)
                written.add(config)
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def layer(files: Mapping[str, Path | str | bytes], path: Path) -> Layer:
    """Return a layer of these files and folders, by their place in the image.

    A Path is copied, a folder with all in it, and an executable file stays executable; a string
    is the target of a symbolic link; bytes are a file's content.
    """
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for place, source in sorted(files.items()):
            name = place.lstrip("/")
            if isinstance(source, bytes):
                _add(archive, name, source)
            elif isinstance(source, str):
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, source
                archive.addfile(link)
            else:
                archive.add(source, name, filter=_plain)
    return Layer.from_file(path)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    archive.addfile(info, io.BytesIO(content))


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Clear owner and time of an entry: only content and the executable bit count."""
    executable = info.isdir() or bool(info.mode & stat.S_IXUSR)
    info.mode = 0o755 if executable else 0o644
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    return info
