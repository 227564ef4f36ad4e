"""Ctrl-C is never lost: neither in what is held, nor in what Python calls around a fork."""

from __future__ import annotations

import subprocess
import sys

FORKS = """
import multiprocessing.util, os, signal, time
from lab.common import forked, signals

signals.listen()
os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGINT))
multiprocessing.util.register_after_fork(signals, lambda _: time.sleep(0.3))  # ended meanwhile
try:
    forked.results([os.getpid, os.getpid])
except KeyboardInterrupt:
    print("interrupted")
"""
CHILD = """
import os
from lab.common import signals

signals.listen()
with signals.held():
    child = os.fork()
    if not child:
        try:
            os.kill(os.getpid(), 2)
        except KeyboardInterrupt:
            os._exit(7)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


# Where these tests run in the background of a shell, Ctrl-C is ignored from the start.
BEGIN = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", BEGIN + program], capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return done.stdout.strip()


def test_a_signal_that_comes_while_a_process_is_forked_ends_the_command() -> None:
    assert printed(FORKS) == "interrupted"


def test_a_forked_process_holds_nothing_that_its_parent_holds() -> None:
    assert printed(CHILD) == "7"
