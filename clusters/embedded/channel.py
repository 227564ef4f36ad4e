"""Commands inside the cluster, asked for over its control socket."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from clusters.base import CaptureStats, Completed, PodRef
from lab.common.errors import ClusterGone, LabError, TimedOut
from lab.common.shell import how_it_ended
from lab.common.wait import until

ENDED = "the embedded cluster ended while it was asked"
PATIENCE = 10.0
"""Seconds for an answer that takes no command."""
LIMIT = 1 << 20
"""Longest answer, bytes."""


class Channel:
    """One cluster's control socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request that runs no command, and return its answer. Raises TimedOut."""
        with self._connect() as link:
            link.settimeout(PATIENCE)
            try:
                _send(link, request, [])
                return _answer(link)
            except TimeoutError:
                told = f"the embedded cluster did not answer within {PATIENCE:.0f} s"
                raise TimedOut(told) from None

    def connect(self, request: dict[str, Any]) -> socket.socket:
        """Return a connection to a port of a pod's localhost. Raises LabError."""
        with self._connect() as link:
            link.settimeout(PATIENCE)
            _send(link, request, [])
            try:
                data, fds, _, _ = socket.recv_fds(link, LIMIT, 1)
            except OSError as lost:
                raise ClusterGone(ENDED) from lost
            if not fds:
                _read(data)
                raise ClusterGone(ENDED)
            return socket.socket(fileno=fds[0])

    def run(
        self,
        request: dict[str, Any],
        stdin: BinaryIO | int,
        stdout: BinaryIO | int,
        stderr: BinaryIO | int,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Run a command with the caller's own files. Raises TimedOut after ending it."""
        with self.begin(request, stdin, stdout, stderr) as link:
            link.settimeout(timeout)
            try:
                return _answer(link)
            except TimeoutError:
                said = " ".join(request["argv"])
                raise TimedOut(f"`{said}` did not end within {timeout:.0f} s") from None

    def begin(
        self,
        request: dict[str, Any],
        stdin: BinaryIO | int,
        stdout: BinaryIO | int,
        stderr: BinaryIO | int,
    ) -> socket.socket:
        """Start a command; it ends when the returned connection is shut for writing."""
        link = self._connect()
        fds = [f if isinstance(f, int) else f.fileno() for f in (stdin, stdout, stderr)]
        _send(link, request, fds)
        return link

    def _connect(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LIMIT)
        try:
            link.connect(str(self._path))
        except OSError as error:
            link.close()
            raise ClusterGone(
                f"the embedded cluster does not answer ({error.strerror})",
                hint="istio-lab status; istio-lab up",
            ) from error
        return link


def _send(link: socket.socket, request: dict[str, Any], fds: list[int]) -> None:
    try:
        socket.send_fds(link, [json.dumps(request).encode()], fds)
    except ConnectionError as lost:
        link.close()
        raise ClusterGone(ENDED) from lost


def _answer(link: socket.socket) -> dict[str, Any]:
    try:
        data = link.recv(LIMIT)
    except ConnectionError as lost:
        raise ClusterGone(ENDED) from lost
    return _read(data)


def _read(data: bytes) -> dict[str, Any]:
    """Read an answer. Raises LabError with what was refused."""
    if not data:
        raise ClusterGone(ENDED)
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ClusterGone(f"the embedded cluster's answer cannot be read: {data[:60]!r}")
    if "error" in answer:
        raise LabError(str(answer["error"]))
    return answer


def completed(channel: Channel, request: dict[str, Any], stdin: bytes, timeout: float) -> Completed:
    """Run a command, and return its code and output, which go through files: a pipe can fill up."""
    file = tempfile.TemporaryFile
    with file() as fed, file() as out, file() as err:
        fed.write(stdin)
        fed.seek(0)
        answer = channel.run(request, fed, out, err, timeout)
        out.seek(0)
        err.seek(0)
        said = out.read(), err.read()
    times = answer["started"], answer["ended"]
    return Completed(tuple(request["argv"]), answer["code"], *said, *times)


class TcpdumpCapture:
    """tcpdump in a pod's network namespace, writing to a file of the caller's."""

    def __init__(
        self, channel: Channel, pod: PodRef, interface: str, bpf: str, into: Path, kept: int
    ):
        """Start tcpdump. kept: bytes of each packet; its buffer has slots of that size."""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        argv = ["tcpdump", "-i", interface, "-w", "-", "-U", "--immediate-mode", "-Z", "root"]
        argv += ["-s", str(kept), "-B", "4096", "-n", bpf]
        request = {"op": "netns", "namespace": pod.namespace, "pod": pod.name, "argv": argv}
        with into.open("wb") as output:
            self._link = channel.begin(request, _devnull(), output, self._said)
        until(
            lambda: b"listening on" in self._output() or self._ended(),
            f"tcpdump on {interface} of pod {pod.name}",
            timeout=10,
            last_seen=lambda: self._output().decode(errors="replace"),
        )
        if b"listening on" not in self._output():
            _answer(self._link)
            raise LabError(f"tcpdump did not start: {self._output().decode(errors='replace')}")

    def stop(self) -> CaptureStats:
        """Interrupt it, wait until all is written, read its counters.

        Raises LabError for one that had ended by itself: what it missed, nobody knows.
        """
        with self._said, self._link:
            early = self._ended()
            self._link.shutdown(socket.SHUT_WR)
            self._link.settimeout(10)
            try:
                code = _answer(self._link)["code"]
            except TimeoutError:
                raise TimedOut("tcpdump did not end within 10 s") from None
            text = self._output().decode(errors="replace")
        if early:
            raise LabError(f"tcpdump {how_it_ended(code)} before it was asked to")
        return CaptureStats(count(text, "captured"), count(text, "dropped by kernel"))

    def _ended(self) -> bool:
        """Tell whether there is an answer, or the process that would give one has ended."""
        try:
            self._link.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except ConnectionError:
            pass
        return True

    def _output(self) -> bytes:
        return os.pread(self._said.fileno(), 65536, 0)


def count(text: str, what: str) -> int:
    """Return 12 from `12 packets captured`. Raises LabError where there is no such line."""
    for line in text.splitlines():
        number, _, rest = line.partition(" packet")
        if what in rest and re.fullmatch(r"[0-9]{1,18}", number):
            return int(number)
    raise LabError(f"tcpdump did not say how many packets were {what}: {text!r}")


def _devnull() -> int:
    return os.open(os.devnull, os.O_RDONLY)
