"""Unpacks a bundle that may come from anybody: regular files below one folder, or an error.

The archive is read header by header, and a file is written only by its checked name: tarfile only
parses the headers. Extended headers, links and devices are refused unread.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.bundle import MANIFEST, limits, manifest
from lab.common import scratch, untrusted
from lab.common.errors import BadBundle, BadEvidence
from lab.model import store

_BLOCK = 512
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)


@contextmanager
def opened(name: str) -> Iterator[Path]:
    """Find a stored run by its name, or unpack a bundle while the `with` block runs.

    Yields the run's folder. Raises BadArguments where there is neither, and BadBundle for a bundle
    that is not as it was packed.
    """
    archive = find(name)
    if archive is None:
        yield store.find(name)
        return
    with scratch.folder() as place:
        yield unpack(archive, place)


def find(name: str) -> Path | None:
    """Return the bundle of a name, here or among the runs; None where there is no such file."""
    candidates = (Path(name), store.runs() / name)
    return next((path.resolve() for path in candidates if path.is_file()), None)


def unpack(archive: Path, place: Path) -> Path:
    """Unpack a bundle below `place`, and check its manifest; return the run's folder.

    Raises BadBundle, which names the archive.
    """
    try:
        return _unpack(_read(archive), place)
    except BadBundle as wrong:
        raise BadBundle(f"{archive.name}: {wrong}") from None


def _unpack(data: bytes, place: Path) -> Path:
    sums: dict[str, str] = {}
    tops: set[str] = set()
    said = None
    for path, content in _members(data):
        top, _, rest = path.partition("/")
        tops.add(top)
        if len(tops) > 1 or not rest:
            raise BadBundle(f"{path} lies outside the one folder that a bundle has")
        if rest in sums or (rest == MANIFEST and said is not None):
            raise BadBundle(f"it holds {rest} twice")
        _write(place, path, content)
        if rest == MANIFEST:
            said = content
        else:
            sums[rest] = hashlib.sha256(content).hexdigest()
    if said is None:
        raise BadBundle(f"it holds no {MANIFEST}")
    manifest.check(said.decode(errors="replace"), sums)
    return place / tops.pop()


def _read(archive: Path) -> bytes:
    """Return the tar of an archive. Raises BadBundle for more than a bundle may hold."""
    try:
        packed = untrusted.read_bytes(archive, archive.parent, limits.PACKED)
        most = limits.most(len(packed))
        data = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(most + 1)
    except BadEvidence as wrong:
        raise BadBundle(str(wrong)) from None
    except (EOFError, OSError, zlib.error) as wrong:
        raise BadBundle(f"it is not a bundle, or it is damaged: {wrong}") from None
    if len(data) > most:
        raise BadBundle(f"it unpacks to more than {most >> 20} MiB, and is not unpacked")
    return data


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of each file. Raises BadBundle for what is no file or folder."""
    position = count = 0
    while any(header := data[position : position + _BLOCK]):
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except (tarfile.HeaderError, ValueError) as wrong:
            raise BadBundle(f"it is not a bundle, or it is damaged: {wrong}") from None
        position += _BLOCK
        content = data[position : position + member.size]
        if not 0 <= member.size <= untrusted.LIMIT or len(content) < member.size:
            raise BadBundle(f"{member.name[:100]!r} is too large or cut off, and is not unpacked")
        position += -(-member.size // _BLOCK) * _BLOCK
        count += 1
        if count > limits.FILES:
            raise BadBundle(f"it holds more than {limits.FILES} files, and is not unpacked")
        if not member.isdir():
            yield _checked(member), content
    if any(data[position:]):
        raise BadBundle("it goes on after its end")


def _checked(member: tarfile.TarInfo) -> str:
    """Return a file's path. Raises BadBundle for what is no file, and for an unsafe name."""
    if member.type not in _PLAIN:
        raise BadBundle(f"{member.name[:100]!r} is neither a file nor a folder")
    parts = member.name.split("/")
    if len(parts) > limits.DEPTH or not all(limits.NAME.fullmatch(part) for part in parts):
        raise BadBundle(f"{member.name[:100]!r} is not a name that a bundle may hold")
    return member.name


def _write(place: Path, path: str, content: bytes) -> None:
    """Write a file that does not exist yet: on some systems two names are one file."""
    target = place / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            file.write(content)
    except (FileExistsError, NotADirectoryError):
        raise BadBundle(f"it holds {path} twice") from None
