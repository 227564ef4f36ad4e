"""Figures that are drawn while a run goes on are those that the page would have drawn itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from lab.common.wait import until
from lab.model import store
from lab.report import draftsman, page

FAILURE = "rest_mtls"


def python(code: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process without other threads: a test's worker has some."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_page_is_the_same_with_figures_that_were_drawn_before(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(store.RECORDED / FAILURE, run / FAILURE)
    written, why = page.last_words([run])
    assert written, why
    told = written.read_text()
    done = python(
        """
        import sys
        from pathlib import Path
        from lab.common import signals
        from lab.report import draftsman, page
        signals.listen()
        run = Path(sys.argv[1])
        with draftsman.started(run) as drawing:
            drawing.draw("rest_mtls")
            drawing.draw("tcp_mtls")
            drawn = drawing.drawn()
        assert {failure for failure, _ in drawn} == {"rest_mtls"}, drawn.keys()
        assert {section for _, section in drawn} == {"picture", "planes", "hops"}
        print(page.last_words([run], drawn)[0])
        """,
        str(run),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert written.read_text() == told


def test_it_ends_with_the_process_that_started_it() -> None:
    done = python(
        """
        import os, multiprocessing
        from pathlib import Path
        from lab.report import draftsman
        with draftsman.started(Path("/nowhere")):
            print(multiprocessing.active_children()[0].pid, flush=True)
            os._exit(0)
        """
    )
    pid = int(done.stdout)

    def ended() -> bool:
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"

    until(ended, "the process that draws to end", timeout=20)


def test_beside_other_threads_the_page_draws_all_itself() -> None:
    import threading

    over = threading.Event()
    threading.Thread(target=over.wait).start()
    try:
        with draftsman.started(Path("/nowhere")) as drawing:
            drawing.draw(FAILURE)
            assert drawing.drawn() == {}
    finally:
        over.set()
