"""Links into a run's folder: only to plain files, and by relative addresses inside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lab.common import untrusted
from lab.common.errors import BadEvidence

FOLDERS = ("captures", "logs", "config")
MOST = 400
"""Files of one folder that are linked; no failure was seen to have more than sixty."""


@dataclass(frozen=True)
class File:
    """A file to download."""

    name: str
    """From the failure's folder on: `captures/posted-client-eth0.pcap`."""
    href: str
    bytes: int

    @property
    def size(self) -> str:
        """The size for a person: `4.1 kB`."""
        if self.bytes < 1000:
            return f"{self.bytes} B"
        return f"{self.bytes / 1e3:.1f} kB" if self.bytes < 1e6 else f"{self.bytes / 1e6:.1f} MB"


class Files:
    """The files of one failure, linked from a page in another folder."""

    def __init__(self, folder: Path, page: Path, packets: Mapping[str, Path] | None = None) -> None:
        self._folder, self._page = folder, page
        self.groups = {name: tuple(self._in(name)) for name in FOLDERS}
        single = ("notebook.ipynb", "evidence.json", "verdict.json", "graph.svg")
        self.single = tuple(file for name in single if (file := self._file(Path(name))))
        self._known = {file.name: file for file in self.all}
        self.packets = {name: self._link(path) for name, path in (packets or {}).items()}
        """Call -> its pcapng, which lies beside the page."""

    @property
    def all(self) -> tuple[File, ...]:
        return (*self.single, *(file for group in self.groups.values() for file in group))

    def find(self, name: str) -> File | None:
        """Return a file by its name from the failure's folder on; None where there is none."""
        return self._known.get(name)

    def _in(self, name: str) -> Iterator[File]:
        try:
            untrusted.require_inside(self._folder / name, self._folder)
            names = sorted(found.name for found in (self._folder / name).iterdir())
        except (OSError, BadEvidence):
            return  # a folder that is not there has nothing to link
        for one in names[:MOST]:
            if file := self._file(Path(name, one)):
                yield file

    def _file(self, name: Path) -> File | None:
        try:
            status = (self._folder / name).lstat()
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return self._link(self._folder / name, name.as_posix())

    def _link(self, path: Path, name: str = "") -> File:
        """Link a file by a relative address."""
        return File(name or path.name, href(path, self._page), path.lstat().st_size)


def href(path: Path, page: Path) -> str:
    """Return the address of a file from a page's folder on, relative and quoted.

    It begins with `./` or `../`, so that no name is taken for a URL scheme.
    """
    relative = os.path.relpath(path, page)
    quoted = quote(os.fsencode(relative), safe="/")
    return quoted if quoted.startswith("../") else f"./{quoted}"
