"""Reads a failure's stored files; every file is read once for a case."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from lab.common import untrusted
from lab.common.errors import BadEvidence
from lab.common.once import Once
from lab.envoy import dump, node
from lab.envoy.mesh import Workload
from lab.model.evidence import CallRecord, Evidence, WorldRecord, config_name
from lab.planes import config, log
from lab.planes.capture_file import CaptureFile


@dataclass(frozen=True)
class StoredFiles:
    """The captures, logs and configurations beside one `evidence.json`."""

    evidence: Evidence
    folder: Path
    _captures: dict[str, CaptureFile] = field(default_factory=dict)
    _lines: dict[str, list[log.Line]] = field(default_factory=dict)
    _views: dict[str, config.View | None] = field(default_factory=dict)
    _workloads: dict[str, Workload] = field(default_factory=dict)
    """File of a configuration -> the pod that it is of."""

    def capture(self, world: WorldRecord, pod: str, interface: str, act: str) -> CaptureFile | None:
        """Return the capture of a pod's interface; None where none was made."""
        found = world.capture(pod, interface, act)
        if found is None:
            return None
        if found.file not in self._captures:
            file = CaptureFile(self.folder / found.file, found.dropped, found.packets)
            self._captures[found.file] = file
        return self._captures[found.file]

    def access_log(self, world: WorldRecord, pod: str) -> list[log.Line]:
        """Return the lines of a proxy's access log. Raises BadEvidence where it is damaged."""
        name = f"{world.name}-{pod}.jsonl"
        if name not in self._lines:
            self._lines[name] = log.parse(self._text(self.folder / "logs" / name))
        return self._lines[name]

    def application_log(self, world: WorldRecord, workload: str) -> list[log.Line]:
        """Return the lines that an application wrote. Raises BadEvidence where it is damaged."""
        name = f"{world.name}-{workload}.app.jsonl"
        if name not in self._lines:
            self._lines[name] = list(log.entries(self._text(self.folder / "logs" / name)))
        return self._lines[name]

    def configuration(self, world: WorldRecord, pod: str, record: CallRecord) -> config.View | None:
        """Return a proxy's configuration as it was for a call; None where it was not recorded.

        Raises BadEvidence where the file is damaged.
        """
        path = self.folder / "config" / config_name(world.name, pod, record.act, record.step)
        if path.name not in self._views:
            there = untrusted.is_there(path)
            self._views[path.name] = untrusted.read_json(path, self.folder) if there else None
        return self._views[path.name]

    def configuration_file(self, world: WorldRecord, pod: str, record: CallRecord) -> str:
        """Return the file with a proxy's configuration for a call; empty where none was kept.

        A proxy that a step's changes do not concern has the one of before.
        """
        names = [
            config_name(world.name, pod, record.act, record.step),
            config_name(world.name, pod, "", ""),
        ]
        kept = self.evidence.configurations
        return next((kept[name] for name in names if name in kept), "")

    def workloads(
        self, world: WorldRecord, record: CallRecord, needed: Collection[str]
    ) -> dict[str, Workload]:
        """Return the pods of a world as they were for a call, without those that are not known.

        needed: whose configuration must be known, or BadEvidence is raised.
        """
        known = {
            name: pod
            for name, pod in world.pods.items()
            if name in needed or not pod.sidecar or self.configuration_file(world, name, record)
        }
        return {name: self.workload(world, name, record) for name in known}

    def workload(self, world: WorldRecord, pod: str, record: CallRecord) -> Workload:
        """Return a pod as it was for a call, with its proxy's configuration.

        Raises BadEvidence where that is damaged, or the pod has a sidecar and none was kept.
        """
        told, file = world.pods[pod], self.configuration_file(world, pod, record)
        if not file and told.sidecar:
            raise BadEvidence(f"the configuration of {pod} was not recorded")
        if not file:
            return Workload(told.name, told.ip)
        if file not in self._workloads:
            self._workloads[file] = _read_workload(self.folder / file, self.folder)
        return self._workloads[file]

    def _text(self, path: Path) -> str:
        """Return a file's text; nothing where there is no such file."""
        return untrusted.read_text(path, self.folder) if untrusted.is_there(path) else ""


_ONCE: Once[Workload] = Once(4 << 20)
"""Of compressed configurations; those of a run of all failures have less than one million bytes."""


def _read_workload(path: Path, within: Path) -> Workload:
    """Return the pod whose proxy's whole configuration a file holds. Raises BadEvidence."""

    def read() -> Workload:
        found = untrusted.parse_compressed_json(packed, path)
        return node.workload(found, dump.read(found))

    packed = untrusted.read_bytes(path, within)
    return _ONCE(packed, read)
