"""Bundles for tests: of what is recorded, opened, changed and closed again."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from lab.bundle import pack
from lab.model import store

NAME = "recorded"


@cache
def recorded() -> pack.Packed:
    """The bundle of everything that is recorded."""
    return pack.pack(store.RECORDED, NAME)


@cache
def of(*names: str) -> bytes:
    """The bundle of what is recorded of some failures, for tests that open it again and again."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            shutil.copytree(store.RECORDED / name, Path(folder) / name)
        return pack.pack(Path(folder), NAME).archive


def files(archive: bytes) -> dict[str, bytes]:
    """What a bundle holds, by the path below its folder."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            held = tar.extractfile(member)
            assert held
            found[member.name.partition("/")[2]] = held.read()
    return found


def unpacked(archive: bytes, folder: Path) -> Path:
    """The folder that `tar xf` makes of it."""
    for path, content in files(archive).items():
        (folder / NAME / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / NAME / path).write_bytes(content)
    return folder / NAME


def tar_of(
    held: dict[str, bytes], *others: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT
) -> bytes:
    """A tar of files by their whole names, and of whatever else."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as tar:
        for name, content in held.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in others:
            tar.addfile(member)
    return raw.getvalue()


def closed(held: dict[str, bytes], *others: tarfile.TarInfo, top: str = NAME) -> bytes:
    """A bundle of files by their paths below its folder."""
    return gzip.compress(tar_of({f"{top}/{k}": v for k, v in held.items()}, *others), 1)
