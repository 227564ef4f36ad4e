"""Ctrl-C, SIGTERM and a closed terminal end a command in one way, and cut no tidying short."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Heard:
    """Whether something is under way that is to come to its end, and who asked meanwhile."""

    holds = 0
    asked = False


def listen() -> None:
    """Make each of the signals raise KeyboardInterrupt. What is ignored (nohup) stays ignored."""
    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _hear)


def _hear(_number: int, _frame: FrameType | None) -> None:
    if _Heard.holds:
        _Heard.asked = True
    else:
        raise KeyboardInterrupt


def _forget() -> None:
    _Heard.holds, _Heard.asked = 0, False


os.register_at_fork(after_in_child=_forget)


@contextmanager
def blocked() -> Iterator[None]:
    """Have the kernel keep signals back in this thread, and in a process that is forked meanwhile.

    A forked process that is ended before it has chosen what signals do would die with a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def held(*, last: bool = False) -> Iterator[None]:
    """Put signals off until the block has ended, so that what it began is finished.

    Only for what is sure to end soon, and around each fork: Python ignores what is raised in the
    functions that it calls before and after one. A forked process holds nothing.

    last: nothing follows, so that they have what they want; else KeyboardInterrupt is raised on
    leaving.
    """
    _Heard.holds += 1
    try:
        yield
    finally:
        _Heard.holds -= 1
        if _Heard.asked and not _Heard.holds:
            _Heard.asked = False
            if not last:
                raise KeyboardInterrupt
