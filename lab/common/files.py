"""Files are written beside their place and renamed: a reader never sees half of one."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from lab.common.redaction import redact


def plain(name: str) -> str:
    """Return a name such as `tcp-name:changed` without colons and slashes, for a file's name."""
    return re.sub(r"[^\w-]", ".", name)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file beside its place, then move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write text as `write_bytes` does, without secrets; half a surrogate pair as its escape."""
    write_bytes(path, redact(text).encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, keys sorted."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")
