"""What a container reads from and writes to: its log, and a stdin or a terminal where it asks.

Output goes to a file as it is written, without a process in between, unless there is a terminal.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import threading
from collections.abc import Sequence
from pathlib import Path

from clusters.kube import Obj

_GET_PEER, _UNLOCK = 0x5441, 0x40045431
"""TIOCGPTPEER and TIOCSPTLCK, which Python does not name (ioctl_tty(2))."""
_IN_TERMINAL = 'echo; read -r _; exec setsid --ctty "$@" <>/dev/pts/0 >&0 2>&0'
"""Says that the container's own /dev is there, waits for its first terminal, and takes it."""


class Streams:
    """One container's. `files` are its process' stdin, stdout and stderr."""

    def __init__(self, spec: Obj, log: Path) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.fchmod(self._log, 0o666)  # Envoy opens /dev/stdout anew, as its own uid
        self.stdin = _fifo(log.with_suffix(".stdin")) if spec.get("stdin") else None
        """Where the container reads from; None where it reads nothing."""
        self._kept = os.open(self.stdin, os.O_RDWR | os.O_CLOEXEC) if self.stdin else -1
        self._tty = bool(spec.get("tty"))
        self._terminal = self._peer = -1
        if self._tty:
            (go, self._go), (self._up, up) = os.pipe(), os.pipe()
            self.files = (go, up, os.dup(self._log))
        else:
            source = self.stdin or os.devnull
            self.files = (os.open(source, os.O_RDONLY), os.dup(self._log), os.dup(self._log))

    def wrapped(self, argv: Sequence[str]) -> list[str]:
        """Return the command as it is to be started inside."""
        return ["/bin/sh", "-c", _IN_TERMINAL, "sh", *argv] if self._tty else [*argv]

    def begin(self, pid: int, uid: int) -> None:
        """Go on once the process has started. pid: one in the container; uid: its user's."""
        for file in self.files:
            os.close(file)
        if not self._tty:
            return
        if os.read(self._up, 1):  # else it ended before it began
            self._open_terminal(pid, uid)
            threading.Thread(target=self._write_log, daemon=True).start()
            if self.stdin:
                threading.Thread(target=self._read_stdin, daemon=True).start()
        os.close(self._up)
        os.close(self._go)

    def _open_terminal(self, pid: int, uid: int) -> None:
        """Make /dev/pts/0 of the container's own devpts, owned by its user."""
        flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
        self._terminal = os.open(f"/proc/{pid}/root/dev/pts/ptmx", flags)
        fcntl.ioctl(self._terminal, _UNLOCK, struct.pack("i", 0))
        # Held until the container ends: a terminal that nobody has open yet ends at once.
        self._peer = fcntl.ioctl(self._terminal, _GET_PEER, flags)
        os.fchown(self._peer, uid, -1)
        os.write(self._go, b"\n")

    def _write_log(self) -> None:
        with open(self._log, "wb", buffering=0, closefd=False) as log:
            try:
                while data := os.read(self._terminal, 65536):
                    log.write(data)
            except OSError:
                pass  # the last that had it open has closed it

    def _read_stdin(self) -> None:
        assert self.stdin is not None
        with self.stdin.open("rb", buffering=0) as stdin:
            try:
                while data := stdin.read(65536):
                    os.write(self._terminal, data)
                os.write(self._terminal, termios.tcgetattr(self._terminal)[6][termios.VEOF])
            except OSError:
                pass  # the container has ended

    def close_stdin(self) -> None:
        """Let the container's stdin end with the last client that writes to it."""
        kept, self._kept = self._kept, -1
        if kept >= 0:
            os.close(kept)

    def close(self) -> None:
        """Give everything back: the container has ended."""
        self.close_stdin()
        for file in (self._peer, self._log):
            if file >= 0:
                os.close(file)
        if self.stdin:
            self.stdin.unlink(missing_ok=True)


def _fifo(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    path.chmod(0o666)  # /dev/stdin may be opened anew, by another uid
    return path
