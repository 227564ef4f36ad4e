"""Keeps the proxies' configurations of one failure: each distinct one once, compressed."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.common import files
from lab.common.redaction import redact
from lab.envoy import kept


@dataclass(frozen=True)
class Dumps:
    """A run's configurations in the folder of its evidence."""

    folder: Path
    names: dict[str, str] = field(default_factory=dict)
    """`config_name` of a proxy at a step -> its file, from the folder of the evidence."""

    _files: dict[bytes, str] = field(default_factory=dict)
    """Digest of a configuration -> its file."""

    def keep(self, name: str, dump: Mapping[str, Any]) -> None:
        """Write what walks read of a config dump, without secrets, unless it was written before.

        Raises BadEvidence for what is no config dump.
        """
        text = redact(kept.text(dump)).encode()
        digest = hashlib.sha256(text).digest()
        if digest not in self._files:
            file = f"config/{name}.gz"
            files.write_bytes(self.folder / file, gzip.compress(text, mtime=0))
            self._files[digest] = file
        self.names[name] = self._files[digest]
