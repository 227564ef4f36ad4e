"""Jobs in processes of their own, in a process without other threads: a test's worker has some."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from lab.common import forked


def python(code: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    return subprocess.Popen(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_results_come_in_the_order_of_the_jobs_and_from_other_processes() -> None:
    process = python(
        """
        import os
        from lab.common import forked, signals
        signals.listen()
        found = forked.results([lambda n=n: (n, os.getpid()) for n in range(9)])
        assert [n for n, _ in found] == list(range(9))
        assert os.cpu_count() == 1 or os.getpid() not in {pid for _, pid in found}
        """
    )
    _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (0, "")


def test_what_a_job_raises_is_raised() -> None:
    process = python("from lab.common import forked; forked.results([lambda: 1, lambda: 1 / 0])")
    _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert told.rstrip().endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_jobs_too(number: signal.Signals) -> None:
    process = python(
        """
        import os, signal, time
        from lab.common import forked, signals
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # these tests may run in the background
        signals.listen()
        def job():
            os.write(1, str(os.getpid()).rjust(9).encode())
            time.sleep(60)
        try:
            forked.results([job, job])
        except KeyboardInterrupt:
            print("ended")
        """
    )
    assert process.stdout
    jobs = [int(process.stdout.read(9)) for _ in range(min(2, os.cpu_count() or 1))]
    began = time.monotonic()
    process.send_signal(number)
    assert process.communicate(timeout=30) == ("ended\n", "")
    assert time.monotonic() - began < 20
    for pid in jobs:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_beside_other_threads_nothing_is_forked() -> None:
    import threading

    over = threading.Event()
    threading.Thread(target=over.wait).start()
    try:
        assert forked.results([os.getpid, os.getpid]) == [os.getpid()] * 2
    finally:
        over.set()
