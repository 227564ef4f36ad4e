"""A command on a pseudo-terminal, as a person at a keyboard has it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from types import TracebackType

COLUMNS, ROWS = 77, 33


class Terminal:
    """The command's terminal. `seen` is all that it showed so far."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(ROWS, COLUMNS)
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def shows(self, wanted: str, timeout: float = 20) -> str:
        """Wait until it has shown this since the last time; return what came until then."""
        end = time.monotonic() + timeout
        begin = len(self.seen)
        while wanted not in self.seen[begin:]:
            assert time.monotonic() < end, f"{wanted!r} is not in {self.seen[begin:]!r}"
            if not self._read(end - time.monotonic()):
                break
        assert wanted in self.seen[begin:], self.seen[begin:]
        return self.seen[begin:]

    def ends(self, timeout: float = 20) -> int:
        """Wait until the command has ended; return its code."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and self._read(end - time.monotonic()):
            pass
        return self.process.wait(max(0.1, end - time.monotonic()))

    def _read(self, timeout: float) -> bool:
        if not select.select([self._ours], [], [], max(0.0, timeout))[0]:
            return True
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)
