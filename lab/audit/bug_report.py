"""The archive that `istioctl bug-report` makes, or what is unpacked of it: what an audit reads.

Of its folders, `cluster` has the objects, as kubectl lists them in YAML, and `proxies` each proxy's
config dump. Their files have no suffix. (tools/bug-report of Istio 1.31.)
"""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path, PurePosixPath

from lab.common import scratch
from lab.common.errors import BadEvidence

SUFFIXES = (".tar.gz", ".tgz")
OBJECTS = frozenset({"k8s-resources", "k8s-cluster-resources", "crs"})
DUMP = "config_dump"
"""Begins the name of a config dump's file."""
MOST = 4 << 30
"""Bytes of all files together."""


def is_archive(path: Path) -> bool:
    """Return whether a file is an archive, by its name."""
    return path.name.endswith(SUFFIXES)


def is_read(name: str) -> bool:
    """Return whether a file of a bug report has objects or a config dump, by its name."""
    return name in OBJECTS or name.startswith(DUMP)


def unpack(archive: Path) -> Path:
    """Unpack what an audit reads of an archive; return the folder, which goes with this process.

    Raises BadEvidence for a damaged archive, and for one that is larger than anybody's.
    """
    place = scratch.until_exit()
    try:
        _unpack(archive, place)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as wrong:
        raise BadEvidence(f"{archive} is damaged: {wrong}") from None
    return place


def _unpack(archive: Path, place: Path) -> None:
    left = MOST
    with tarfile.open(archive, "r|gz") as stream:
        for number, member in enumerate(stream):
            name = PurePosixPath(member.name).name
            content = stream.extractfile(member) if member.isreg() and is_read(name) else None
            if content is None:
                continue
            left -= member.size
            if left < 0:
                raise BadEvidence(f"{archive} unpacks to more than {MOST >> 30} GiB")
            own = place / str(number)
            own.mkdir()
            with (own / name).open("wb") as file:
                while part := content.read(1 << 20):
                    file.write(part)
