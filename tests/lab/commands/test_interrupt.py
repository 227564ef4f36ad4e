"""However a run is ended, that is what it says, and nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from listing import started_in

from lab.common.wait import until
from lab.model import store

pytestmark = pytest.mark.slow  # each test starts a run and its notebook

RUN = [sys.executable, "-m", "lab", "run", "tcp_mtls", "--cluster", "recorded"]
MAKE = ["make", "-o", "env", "reproduce", "FAILURE=tcp_mtls", "CLUSTER=recorded"]
MAKE += [f"BIN={Path(sys.executable).parent}", f"PYTHON={sys.executable}"]


AS_IN_A_TERMINAL = ["env", "--default-signal=INT,HUP"]
"""Who runs the tests may ignore signals, as nohup does; what it starts inherits that."""


class Started:
    """A command with a temporary folder and a runs/ of its own; all its processes are known."""

    def __init__(self, argv: list[str], top: Path) -> None:
        self.top, self.temporary, self.runs = top, top / "t", top / "runs"
        self.temporary.mkdir(exist_ok=True)
        self.env = {**os.environ, "TMPDIR": str(self.temporary), "LAB_RUNS": str(self.runs)}
        self.env.pop("PYTHONUNBUFFERED", None)  # some machines set it; a user's does not
        self.process = subprocess.Popen(
            [*AS_IN_A_TERMINAL, *argv],
            cwd=store.ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def pid_of(self, module: str) -> int:
        """The process that runs a Python module of it, as soon as there is one."""

        def look() -> int:
            found = [one for one in started_in(str(self.top)) if f"-m {module}" in one]
            return int(found[0].split()[0]) if found else 0

        return until(look, module, timeout=60)

    def begins(self) -> None:
        """Wait for its kernel: then all that it starts is there."""
        self.pid_of("lab.notebook.kernel")

    def ends(self) -> tuple[int, str]:
        """Its code and what it said; nothing that it started runs on, even for seconds."""
        said, _ = self.process.communicate(timeout=60)
        until(lambda: not self.left(), "its processes to end", timeout=5)
        return self.process.returncode, said

    def left(self) -> list[str]:
        return started_in(str(self.top))

    @property
    def files(self) -> list[Path]:
        return [path for path in self.temporary.rglob("*") if not path.is_dir()]

    @property
    def summary(self) -> dict:
        found: dict = json.loads((self.runs / "latest" / "summary.json").read_text())
        return found


@pytest.fixture
def top() -> Iterator[Path]:
    """Short, and not below pytest's own: what names it was started by the test."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_ends_with_255_and_says_so_everywhere(
    number: signal.Signals, top: Path
) -> None:
    started = Started(RUN, top)
    started.begins()
    started.process.send_signal(number)
    code, said = started.ends()
    assert code == 255
    assert said.endswith("\nlab: interrupted\n")
    assert "Exit code 255: " in said
    assert started.summary["exit_code"] == 255
    why = {"tcp_mtls": "the run was interrupted before its verdict"}
    assert started.summary["missing"] == why
    assert "Traceback" not in said
    assert started.files == []


def test_a_second_ctrl_c_does_not_cut_tidying_short(top: Path) -> None:
    script = """
import os, signal
from lab.common import signals
signals.listen()
try:
    with signals.held():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        print("tidied", flush=True)
    print("never said")
except KeyboardInterrupt:
    print("heard")
"""
    assert Started([sys.executable, "-c", script], top).ends() == (0, "tidied\nheard\n")


def test_a_notebook_that_is_killed_is_inconclusive_and_named(top: Path) -> None:
    started = Started(RUN, top)
    started.begins()
    os.kill(started.pid_of("lab.notebook.execute"), signal.SIGKILL)
    code, said = started.ends()
    assert code == 3, said
    assert "its process was ended by SIGKILL" in started.summary["missing"]["tcp_mtls"]
    assert started.files == []


def test_of_a_killed_run_a_folder_is_left_that_the_next_one_removes(top: Path) -> None:
    started = Started(RUN, top)
    started.begins()
    started.process.kill()
    assert started.ends()[0] == -signal.SIGKILL
    assert started.files, "the kernel's sockets"
    after = Started(RUN, top)
    assert after.ends()[0] == 0
    assert after.files == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_with_make_ends_the_run_that_it_started(number: signal.Signals, top: Path) -> None:
    started = Started(MAKE, top)
    started.begins()
    started.process.send_signal(number)
    _, said = started.ends()
    assert "Exit code 255: " in said
    assert started.summary["exit_code"] == 255
    assert started.files == []


def test_a_run_that_nobody_listens_to_any_more_is_no_success(top: Path) -> None:
    started = Started(RUN, top)
    assert started.process.stdout is not None
    started.process.stdout.readline()
    started.process.stdout.close()
    assert started.process.wait(60) == 255
