"""Packs a run: what may be handed on, without secrets, with verdicts in formats of machines.

The same run gives the same bytes. The verdicts are judged from the packed files, so that whoever
unpacks and judges them gets the same.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import failures
from lab.bundle import (
    CRATE,
    CTRF,
    JUNIT,
    MANIFEST,
    STATEMENT,
    about,
    crate,
    ctrf,
    limits,
    notebooks,
)
from lab.bundle import manifest as manifests
from lab.bundle import statement as statements
from lab.common import scratch, untrusted
from lab.common.errors import BadEvidence
from lab.common.redaction import redact_encoded
from lab.render import junit

REDACTED = "text, secrets removed"
AS_IT_WAS = "as it was recorded: nothing is removed"
GENERATED = "written from the packed evidence"
_TOP = ("summary.json", "summary.md", "run.log")
_BINARY = (
    *(b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"),
    *(b"\n\r\r\n", b"\x89PNG\r\n\x1a\n"),
)
"""First bytes of captures (pcap, pcapng) and pictures."""
_KEY_LOG_NAME = re.compile(r"key[-_.]?log", re.IGNORECASE)
_KEY_LOG = re.compile(
    rb"(?:CLIENT_RANDOM|_TRAFFIC_SECRET(?:_\w{1,9})?|EXPORTER_SECRET|RSA)"
    rb"(?: |%20){1,9}[0-9A-Fa-f]{16}"
)
"""A line of NSS's key log format, which Envoy writes too: draft-ietf-tls-keylogfile."""


@dataclass(frozen=True)
class Packed:
    """A bundle that is ready to be written."""

    archive: bytes
    files: int
    unpacked: int
    """Bytes of all files."""
    left_out: dict[str, str]
    """Path -> why it is not in it."""


class _LeftOut(Exception):
    """A file that is not packed; its text says why."""


def pack(run: Path, name: str) -> Packed:
    """Pack a run. Raises BadEvidence for a run that is too large for a bundle."""
    name = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII).lstrip(".-")[:50] or "run"
    files, kept, left_out = _collect(run)
    with scratch.folder() as place:
        for path, data in files.items():
            target = place / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        told = about.describe(place / name, left_out)
        # A reason may name a file by its path in this folder, which is temporary.
        here = f"{place / name}{os.sep}"
    _describe(told, files, kept, here)
    archive = _archive(name, files, told.recorded_at)
    unpacked = sum(map(len, files.values()))
    _require_readable(run, len(files), unpacked, len(archive))
    return Packed(archive, len(files), unpacked, left_out)


def _collect(run: Path) -> tuple[dict[str, bytes], dict[str, str], dict[str, str]]:
    """Return three mappings by path: content, how it is kept, and why it is left out."""
    files: dict[str, bytes] = {}
    kept: dict[str, str] = {}
    left_out: dict[str, str] = {}
    total = 0
    for path in _paths(run):
        try:
            files[path], kept[path] = _content(run, path)
        except _LeftOut as why:
            left_out[path] = str(why)
            continue
        total += len(files[path])
        _require_readable(run, len(files) + len(left_out), total)
    return files, kept, left_out


def _paths(run: Path) -> list[str]:
    """Return the paths of a run's files, without half-written ones of a run that was killed."""
    paths = [path.relative_to(run) for path in _walk(run) if not path.name.startswith(".")]
    return sorted(path.as_posix() for path in paths)


def _walk(run: Path) -> Iterator[Path]:
    """Yield each file, and what is neither a file nor a folder that is entered."""
    ours, count = {*failures.names(), "report"}, 0
    for at, folders, names in os.walk(run):
        here = Path(at)
        entered, found = folders, names
        if here == run:
            entered = [name for name in folders if name in ours]
            found = [name for name in names if name in (*_TOP, *ours)]
        links = [name for name in entered if (here / name).is_symlink()]
        deep = len(here.relative_to(run).parts) + 3 > limits.DEPTH
        folders[:] = [] if deep else entered
        for name in [*found, *links, *(entered if deep else [])]:
            count += 1
            _require_readable(run, count)
            yield here / name


def _content(run: Path, path: str) -> tuple[bytes, str]:
    """Return a file as it is packed, and how it is kept. Raises _LeftOut."""
    names = path.split("/")
    if len(path) - len(names[-1]) > 100 or not all(map(limits.NAME.fullmatch, names)):
        raise _LeftOut("its name is not valid on every system")
    if _KEY_LOG_NAME.search(path):
        raise _LeftOut("it is a TLS key log, which is never packed")
    if not stat.S_ISREG((run / path).lstat().st_mode):
        raise _LeftOut("it is not a regular file")
    try:
        data = untrusted.read_bytes(run / path, run)
    except BadEvidence as why:
        raise _LeftOut(str(why).replace(f"{run}{os.sep}", "")) from None
    if _KEY_LOG.search(data):
        raise _LeftOut("it holds lines of a TLS key log, which is never packed")
    if data.startswith(_BINARY):
        return data, AS_IT_WAS
    if data.startswith(untrusted.GZIP_MAGIC):
        return _recompressed(data), REDACTED
    if b"\0" in data:
        raise _LeftOut("it is neither text, nor a capture, nor a picture")
    text = data.decode(errors="replace")
    if path.endswith(".ipynb"):
        text = notebooks.without_secrets(text)
    return redact_encoded(text).encode(), REDACTED


def _recompressed(data: bytes) -> bytes:
    """Return compressed text without secrets. Raises _LeftOut for what is no text."""
    try:
        text = untrusted.unpacked(data, "it").decode()
    except (BadEvidence, ValueError) as why:
        raise _LeftOut(f"it is no compressed text: {why}") from None
    if _KEY_LOG.search(text.encode()):
        raise _LeftOut("it holds lines of a TLS key log, which is never packed")
    return gzip.compress(redact_encoded(text).encode(), mtime=0)


def _describe(told: about.About, files: dict[str, bytes], kept: dict[str, str], here: str) -> None:
    """Add the files that describe the run; each describes those that were packed before it."""

    def add(path: str, text: str) -> None:
        files[path] = redact_encoded(text.replace(here, "")).encode(errors="backslashreplace")
        kept[path] = GENERATED

    add(JUNIT, junit.junit(told.verdicts, told.missing, told.seconds))
    add(CTRF, _json(ctrf.report(told)))
    add(CRATE, _json(crate.metadata(told, {path: len(data) for path, data in files.items()}, kept)))
    add(STATEMENT, _json(statements.statement(told, _sums(files), kept)))
    add(MANIFEST, manifests.text(_sums(files)))


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _sums(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def _archive(name: str, files: Mapping[str, bytes], time: int) -> bytes:
    """Return a tar.gz in which nothing depends on who packs it, when or where."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path, data in sorted(files.items()):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mtime, member.mode = len(data), time, 0o644
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _require_readable(run: Path, files: int, unpacked: int = 0, archive: int = 0) -> None:
    """Raise BadEvidence for what `judge` would refuse to unpack."""
    too_much = {
        f"more than {limits.FILES} files": files > limits.FILES,
        f"more than {limits.TOTAL >> 20} MiB": unpacked > limits.TOTAL,
        f"more than {limits.PACKED >> 20} MiB, packed": archive > limits.PACKED,
        f"files that compress to less than 1/{limits.RATIO}": archive > 0
        and unpacked > limits.most(archive),
    }
    for what, is_so in too_much.items():
        if is_so:
            refused = "`istio-lab judge` would refuse it"
            raise BadEvidence(f"{run} holds {what}, and is not packed: {refused}")
