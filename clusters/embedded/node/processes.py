"""The control plane's processes: started, watched, and all ended when one ends."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Started:
    """One process of the control plane."""

    name: str
    pid: int
    started: float
    """Unix time, seconds."""
    log: Path


class Processes:
    """Starts binaries with a log each. `on_death` is told the first one that ends."""

    def __init__(self, bin_: Path, logs: Path, on_death: Callable[[str, int], None]) -> None:
        self._bin, self._logs, self._on_death = bin_, logs, on_death
        self.started: dict[str, Started] = {}

    def start(
        self,
        binary: str,
        flags: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Started:
        """Start a binary of the stack; its output goes to logs/<binary>.log."""
        path = self._logs / f"{binary}.log"
        with path.open("ab") as log:
            process = subprocess.Popen(
                [str(self._bin / binary), *flags],
                env={**os.environ, **(env or {})},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started = self.started[binary] = Started(binary, process.pid, time.time(), path)
        threading.Thread(target=self._watch, args=(binary, process), daemon=True).start()
        return started

    def _watch(self, binary: str, process: subprocess.Popen[bytes]) -> None:
        self._on_death(binary, process.wait())
