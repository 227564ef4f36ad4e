"""The lab's helper on a node: it captures packets in pods, and asks servers on their localhost.

One process of `lab-capture -serve` serves all that is asked of its node: to start a program in a
container takes longer than most of what is asked (clusters/stacks/1.31-kind/capture/serve.go).
"""

from __future__ import annotations

import itertools
import json
import queue
import struct
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from clusters.base import CaptureStats
from clusters.embedded.channel import count
from clusters.kind.engine import Engine
from lab.common.errors import LabError, TimedOut

PATIENCE = 20.0
"""Seconds for an answer."""
_HEADER = struct.Struct(">IcI")
"""The request's number, what the answer is, its length."""


@dataclass
class _Asked:
    """A request, and what came back so far."""

    number: int
    answers: queue.Queue[tuple[bytes, bytes]]
    packets: BinaryIO | None = None


class NodeHelper:
    """The helper on one node. It ends with this process."""

    def __init__(self, engine: Engine, node: str) -> None:
        self._node = node
        self._process = subprocess.Popen(
            ["docker", "exec", "-i", node, "lab-capture", "-serve"],
            env=engine.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._numbers, self._lock = itertools.count(1), threading.Lock()
        self._asked: dict[int, _Asked] = {}
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True, name=f"helper on {node}")
        self._reader.start()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(PATIENCE)

    @property
    def running(self) -> bool:
        """Tell whether it can be asked."""
        return not self._ended

    def get(self, pod: str, port: int, path: str) -> tuple[int, bytes]:
        """GET `/path` of a pod's localhost; return status and body. Raises LabError.

        pod: its uid.
        """
        asked = self._ask(Op="get", Pod=pod, Port=port, Path=path)
        try:
            status, _, body = self._answer(asked, b"A").partition(b"\n")
        finally:
            self._forget(asked)
        return int(status), body

    def capture(self, pod: str, interface: str, ports: list[int], into: Path) -> NodeCapture:
        """Record packets of these ports, of TCP or UDP, at an interface of a pod, as pcap.

        pod: its uid. Raises LabError.
        """
        file = into.open("wb")
        asked = self._ask(file, Op="capture", Pod=pod, Interface=interface, Ports=ports)
        try:
            self._answer(asked, b"L")
        except LabError:
            self._forget(asked)
            raise
        return NodeCapture(self, asked)

    def stop(self, asked: _Asked) -> str:
        """End a capture; return what it counted, when all its packets are written."""
        self._write({"ID": asked.number, "Op": "stop"})
        try:
            return self._answer(asked, b"C").decode()
        finally:
            self._forget(asked)

    def _forget(self, asked: _Asked) -> None:
        self._asked.pop(asked.number, None)
        if asked.packets:
            asked.packets.close()

    def _ask(self, packets: BinaryIO | None = None, /, **request: object) -> _Asked:
        asked = _Asked(next(self._numbers), queue.Queue(), packets)
        self._asked[asked.number] = asked
        self._write({"ID": asked.number, **request})
        return asked

    def _write(self, request: dict[str, object]) -> None:
        assert self._process.stdin
        try:
            with self._lock:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
        except OSError:
            self._ended = True  # `_read` tells it to all who wait

    def _answer(self, asked: _Asked, wanted: bytes) -> bytes:
        try:
            kind, content = asked.answers.get(timeout=0 if self._ended else PATIENCE)
        except queue.Empty:
            if self._ended:
                raise LabError(f"the lab's helper on node {self._node} has ended") from None
            told = f"the lab's helper on node {self._node} did not answer within {PATIENCE:.0f} s"
            raise TimedOut(told) from None
        if kind != wanted:
            raise LabError(content.decode(errors="replace"))
        return content

    def _read(self) -> None:
        """Hand each answer to who asked, until the helper ends."""
        out = self._process.stdout
        assert out
        with out:
            while len(header := out.read(_HEADER.size)) == _HEADER.size:
                number, kind, length = _HEADER.unpack(header)
                self._hand_over(self._asked.get(number), kind, out.read(length))
        self._ended = True
        for asked in list(self._asked.values()):
            asked.answers.put((b"E", f"the lab's helper on node {self._node} has ended".encode()))

    @staticmethod
    def _hand_over(asked: _Asked | None, kind: bytes, content: bytes) -> None:
        if asked is None:
            return  # nobody waits for it any more
        if kind == b"P" and asked.packets:
            with suppress(ValueError):  # closed meanwhile
                asked.packets.write(content)
                asked.packets.flush()
        else:
            asked.answers.put((kind, content))


class NodeCapture:
    """Packets at one interface of a pod, being written to a file."""

    def __init__(self, helper: NodeHelper, asked: _Asked) -> None:
        self._helper, self._asked = helper, asked

    def stop(self) -> CaptureStats:
        """Let it write what is waiting, and read its counters."""
        text = self._helper.stop(self._asked)
        return CaptureStats(count(text, "captured"), count(text, "dropped by kernel"))
