"""A real JupyterLab in a real Chromium, used by the keyboard alone."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from playwright.sync_api import Browser, Page

from lab.common.wait import until
from lab.model import store

IDLE = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'"
ACTIVE = ".jp-Notebook .jp-Cell.jp-mod-active"
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/lab/tree/\S+")


@contextlib.contextmanager
def served(folder: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """Serve copies of the notebooks, as `istio-lab learn` does; yield the address of the first."""
    skipped = shutil.ignore_patterns(".ipynb_checkpoints", "lessons.json")
    shutil.copytree(store.ROOT / "notebooks", folder / "notebooks", ignore=skipped)
    own = {"JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_TOKEN": "test", **variables}
    words = ["--no-browser", "--ServerApp.port=0", f"--ServerApp.root_dir={folder}"]
    log = folder / "jupyterlab.log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "lab", "learn", "--", *words],
            env={**os.environ, **own},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as learn,
    ):
        try:
            found = until(lambda: _ADDRESS.search(log.read_text()), "JupyterLab", timeout=60,
                          last_seen=log.read_text)  # fmt: skip
            yield found[0].replace("token=...", "token=test")
        finally:
            os.killpg(learn.pid, signal.SIGTERM)


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.page: Page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        self.page.goto(f"{address}&reset")  # of what was open before
        self.page.wait_for_selector(".jp-Notebook h1", timeout=60_000)
        self.page.wait_for_function(IDLE, timeout=60_000)
        self.page.keyboard.press("Escape")

    def code(self) -> str:
        """Return the code of the cell that the keyboard is at; empty: it is a text."""
        return "".join(self.page.locator(f"{ACTIVE}.jp-CodeCell .cm-content").all_inner_texts())

    def run(self) -> str:
        """Run that cell and go to the next; return what the cell shows."""
        number = self.page.locator(ACTIVE).get_attribute("data-windowed-list-index")
        cell = self.page.locator(f"[data-windowed-list-index='{number}']")
        prompt = cell.locator(".jp-InputPrompt")
        prompt.evaluate("one => one.textContent = ''")  # the number of a run before may be the same
        self.page.keyboard.press("Shift+Enter")
        if "jp-CodeCell" in str(cell.get_attribute("class")):
            prompt.get_by_text(re.compile(r"\[\d+\]")).wait_for(timeout=120_000)
        return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())

    def back(self) -> None:
        """Go to the cell before, with the keyboard at the cell, not in it."""
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("ArrowUp")

    def run_to(self, words: str) -> None:
        """Run cells until the keyboard is at one whose code has these words."""
        for _ in range(40):
            if words in self.code():
                return
            self.run()
        raise AssertionError(f"no cell has {words}")

    def write(self, source: str) -> str:
        """Write another source into the cell and run it; return what it shows."""
        self.page.keyboard.press("Enter")
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(source)
        return self.run()
