"""Runs jobs in processes, one for each core; each inherits what it works on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lab.common import signals

Result = TypeVar("Result")
_inherited: list[Callable[[], Any]] = []
"""The jobs, as the processes find them: what is to be called need not be picklable."""


def results(jobs: Sequence[Callable[[], Result]]) -> list[Result]:
    """Return what each job returns, which must be picklable.

    Where forking is not safe or of no use, they run one after the other in this process.
    """
    workers = min(len(jobs), os.cpu_count() or 1)
    if workers < 2 or threading.active_count() > 1:
        return [job() for job in jobs]
    _inherited[:] = jobs
    with signals.held(), signals.blocked():
        pool = multiprocessing.get_context("fork").Pool(workers, leave_signals_to_the_parent)
    with pool:
        try:
            done = pool.map(_run, range(len(jobs)), chunksize=1)
            pool.close()
            pool.join()
        finally:
            _inherited.clear()
    return done


def leave_signals_to_the_parent() -> None:
    """Leave Ctrl-C to who waits for this process, and then ends it; take what was kept back."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.ENDINGS)


def _run(number: int) -> Any:
    return _inherited[number]()
