"""Packets at a pod's own interfaces, from its node, by the lab's static capture program."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from clusters.base import CaptureStats
from clusters.embedded.channel import count
from clusters.kind.engine import Engine
from lab.common.errors import LabError, TimedOut
from lab.common.wait import until


class NodeCapture:
    """lab-capture on a node, in a pod's network namespace, writing to a file of the caller's."""

    def __init__(
        self, engine: Engine, node: str, uid: str, interface: str, bpf: str, into: Path
    ) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        ports = ",".join(re.findall(r"\d+", bpf))
        argv = ["docker", "exec", "-i", node, "lab-capture", f"-i={interface}"]
        argv += [f"-pod={uid}", f"-ports={ports}"]
        with into.open("wb") as output:
            self._process = subprocess.Popen(
                argv,
                env=engine.environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=self._said,
            )
        until(
            lambda: "listening on" in self._output() or self._process.poll() is not None,
            f"lab-capture on {interface}",
            timeout=20,
            last_seen=self._output,
        )
        if "listening on" not in self._output():
            raise LabError(f"lab-capture did not start: {self._output()}")

    def stop(self) -> CaptureStats:
        """Let it write what is waiting, and read its counters."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise TimedOut("lab-capture did not end within 20 s") from None
        text = self._output()
        self._said.close()
        return CaptureStats(count(text, "captured"), count(text, "dropped by kernel"))

    def _output(self) -> str:
        return os.pread(self._said.fileno(), 65536, 0).decode(errors="replace")
