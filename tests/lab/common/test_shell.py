"""Commands on this machine: output, lines as they come, and failures in words."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.common import shell
from lab.common.errors import CommandFailed, NeedsUnmet
from lab.common.wait import until
from lab.model import store


def test_output_is_returned_and_progress_told_line_by_line(tmp_path: Path) -> None:
    heard: list[str] = []
    script = "echo one; echo first >&2; echo second >&2; pwd"
    out = shell.run(["sh", "-c", script], cwd=tmp_path, each=heard.append)
    assert out == f"one\n{tmp_path}\n"
    assert heard == ["first\n", "second\n"]


def test_a_failure_shows_the_command_as_one_would_paste_it(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as failed:
        shell.run(["sh", "-c", "echo broken >&2; exit 3"], cwd=tmp_path, hint="mend it")
    text = str(failed.value)
    for part in ("sh -c 'echo broken >&2; exit 3'", "ended with 3", "\nbroken", "mend it"):
        assert part in text


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NeedsUnmet, match="nonesuch"):
        shell.run(["nonesuch"], cwd=tmp_path)


INTERRUPTED_AT_ONCE = """
start = sh.RunningCommand.__init__
def interrupted(*args, **options):
    start(*args, **options)
    signal.raise_signal(signal.SIGINT)
sh.RunningCommand.__init__ = interrupted
"""


@pytest.mark.parametrize("during_the_start", [INTERRUPTED_AT_ONCE, ""], ids=["starting", "running"])
def test_ctrl_c_ends_the_command_too(tmp_path: Path, during_the_start: str) -> None:
    script = (
        "import signal\nimport sh\nfrom pathlib import Path\nfrom lab.common import shell\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job ignores it
        f"{during_the_start}\n"
        "tell = lambda line: print(line, end='', flush=True)\n"
        "shell.run(['sh', '-c', 'echo $$ >&2; exec sleep 60'], cwd=Path.cwd(), each=tell)\n"
    )
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=store.ROOT
    ) as caller:
        assert caller.stdout is not None
        sleeping = caller.stdout.readline()
        if not during_the_start:
            caller.send_signal(signal.SIGINT)
        caller.wait(10)
    if sleeping:  # nothing was said where the command was ended before its first word
        until(lambda: not Path(f"/proc/{int(sleeping)}").exists(), "the command to end", timeout=5)
