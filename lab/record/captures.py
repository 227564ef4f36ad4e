"""Captures packets at all interfaces of a world's pods while its calls are made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusters.base import Capture, Cluster
from lab.common.errors import CaptureRefused, LabError
from lab.common.wait import until
from lab.model.evidence import CaptureRecord, digest
from lab.planes.capture_file import REDIRECTED
from lab.record.world import LiveWorld

INTERFACES = ("eth0", "lo")


class Captures:
    """One tcpdump for each pod and interface of a world, for one act."""

    def __init__(self, cluster: Cluster, live: LiveWorld, folder: Path, act: str) -> None:
        self._cluster, self._live, self._folder, self._act = cluster, live, folder, act
        self._running: dict[tuple[str, str], Capture] = {}
        self.records: list[CaptureRecord] = []
        self.problems: list[str] = []
        self.refused: dict[str, str] = {}
        """Pod -> why its packets may not be recorded, in the words of who refused it."""

    def start(self) -> None:
        """Start every capture; each is listening when this returns."""
        self._folder.mkdir(parents=True, exist_ok=True)
        wanted = [(pod, interface) for pod in self._live.pods for interface in INTERFACES]
        with ThreadPoolExecutor(len(wanted)) as pool:
            list(pool.map(self._start, wanted))

    def _start(self, key: tuple[str, str]) -> None:
        pod, interface = key
        path = self._path(key)
        try:
            self._running[key] = self._cluster.capture(
                self._live.pods[pod], interface, self._filter(), path
            )
        except CaptureRefused as refused:
            self.refused[pod] = str(refused)
        except LabError as problem:
            self.problems.append(f"capture of {pod} {interface}: {problem}")

    def _filter(self) -> str:
        """Match target ports, Service ports, and the sidecar's listener for outbound traffic."""
        ports = {REDIRECTED[1]} | self._live.all_ports
        return " or ".join(f"tcp port {port}" for port in sorted(ports))

    def _path(self, key: tuple[str, str]) -> Path:
        act = f"-{self._act}" if self._act else ""
        return self._folder / f"{self._live.world.name}{act}-{key[0]}-{key[1]}.pcap"

    def stop(self) -> None:
        """End every capture once the last packets are in, and record what each holds."""
        self._settle()
        with ThreadPoolExecutor(len(self._running) or 1) as pool:
            list(pool.map(self._stop, list(self._running)))

    def _settle(self) -> None:
        """Wait until no capture grows any more: a proxy may still be closing connections."""
        paths, seen = [self._path(key) for key in self._running], [-1]

        def look() -> bool:
            seen.append(sum(path.stat().st_size for path in paths))
            return len(seen) > 3 and len({*seen[-3:]}) == 1

        until(look, "captures to settle", timeout=5, every=0.03)

    def _stop(self, key: tuple[str, str]) -> None:
        path = self._path(key)
        try:
            stats = self._running[key].stop()
        except LabError as problem:
            self.problems.append(f"capture of {' '.join(key)}: {problem}")
            return
        file = f"captures/{path.name}"
        record = CaptureRecord(
            *key, self._act, file, stats.captured, stats.dropped, digest(path, self._folder)
        )
        self.records.append(record)
