"""The mesh of the table's core, as it was recorded: what proxies held, so that calls are walked."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from lab.common import files, untrusted
from lab.envoy.mesh import Mesh
from lab.envoy.way import Way
from lab.model import store
from lab.truth_table import asked, predictions, stored_mesh
from lab.truth_table.asked import Asked
from lab.truth_table.recorded import Pod, Recorded

FOLDER = store.RECORDED / "truth_table" / "core"
_FILE, _CONFIG = "mesh.json.gz", "config"


def keep(recorded: Recorded, folder: Path = FOLDER) -> None:
    """Keep the pods, the calls and the configuration of a table, without what was captured."""
    content = {
        "pods": [asdict(one) for one in recorded.pods.values()],
        "calls": [asked.as_json(one.asked) for one in recorded.calls],
    }
    shutil.rmtree(folder, ignore_errors=True)
    text = json.dumps(content, sort_keys=True).encode()
    files.write_bytes(folder / _FILE, gzip.compress(text, mtime=0))
    for path in sorted((recorded.folder / _CONFIG).glob("*.json.gz")):
        files.write_bytes(folder / _CONFIG / path.name, path.read_bytes())


@dataclass(frozen=True)
class KeptMesh:
    """A mesh whose calls can be walked without a cluster."""

    folder: Path = FOLDER

    @cached_property
    def _content(self) -> Mapping[str, list[dict[str, object]]]:
        found: Mapping[str, list[dict[str, object]]] = untrusted.read_compressed_json(
            self.folder / _FILE, self.folder
        )
        return found

    @cached_property
    def pods(self) -> Mapping[tuple[str, str], Pod]:
        """Return the pods by policy and workload."""
        each = (Pod(**one) for one in self._content["pods"])  # type: ignore[arg-type]
        return {(one.policy, one.workload): one for one in each}

    @cached_property
    def calls(self) -> Mapping[str, Asked]:
        """Return every call, by its cell's key."""
        each = map(asked.from_json, self._content["calls"])
        return {one.cell.key: one for one in each}

    @cached_property
    def _mesh(self) -> Mesh:
        return stored_mesh.mesh(self.folder, self.pods.values(), self.calls.values())

    def ways(self, key: str) -> list[Way]:
        """Return the ways of a cell's call. Raises KeyError for a cell that is not there."""
        call = self.calls[key]
        return predictions.ways(self._mesh, call, self.pods[call.cell.policy, call.caller].ip)
