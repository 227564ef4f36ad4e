"""Commands on this machine, outside any cluster: one place runs them, on `sh`."""

from __future__ import annotations

import shlex
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.common import places
from lab.common.errors import CommandFailed, NeedsUnmet
from lab.common.wait import until

TAIL = 12
ENDINGS = (signal.SIGINT, signal.SIGTERM)


def how_it_ended(code: int) -> str:
    """Return a process's end in words, by its code as subprocess has it: negative for a signal."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    each: Callable[[str], None] | None = None,
    hint: str = "",
) -> str:
    """Run a command to its end and return what it wrote to stdout.

    each: called with every line on stderr as it comes. An exception here, Ctrl-C included, ends
    the command. Raises CommandFailed, which holds the command as one would paste it and the end
    of its output, and NeedsUnmet where there is no such program.
    """
    import sh

    out: list[str] = []
    tail: deque[str] = deque(maxlen=TAIL)

    def heard(line: str) -> None:
        tail.append(line.rstrip())
        if each:
            each(line)

    # A Ctrl-C between the start and the `try` below would leave a command that nobody ends: it is
    # held until then. The command itself is started without the hold.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        running = _start(argv, cwd, env, (out.append, heard), held)
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        raise
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        # Polled: a wait in the kernel can miss a signal that comes as it begins.
        until(lambda: not running.is_alive(), argv[0], timeout=float("inf"), every=0.005)
        running.wait()
    except sh.ErrorReturnCode as failed:
        said = "\n".join([*"".join(out).splitlines()[-TAIL:], *tail])
        typed = f"cd {shlex.quote(str(cwd))} && {shlex.join(argv)}"
        raise CommandFailed(
            f"`{typed}` ended with {failed.exit_code}:\n{said}", hint=hint
        ) from None
    except BaseException:
        running.terminate()
        raise
    return "".join(out)


def _start(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str] | None,
    into: tuple[Callable[[str], None], Callable[[str], None]],
    mask: set[signal.Signals] | set[int],
) -> Any:
    """Start a command; return sh's handle of it. Raises NeedsUnmet where there is no such program.

    into: called with what it writes to stdout and stderr. mask: its mask of signals.
    """
    import sh

    def use_mask() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        command = sh.Command(argv[0])
    except sh.CommandNotFound:
        raise NeedsUnmet(f"no program {argv[0]!r}", hint=places.DOCTOR) from None
    return command(
        *argv[1:],
        _cwd=str(cwd),
        _env=dict(env) if env is not None else None,
        _out=into[0],
        _err=into[1],
        _tty_out=False,
        _bg=True,
        _bg_exc=False,
        _preexec_fn=use_mask,
    )
