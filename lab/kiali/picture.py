"""Takes a picture of a console's graph by a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from clusters.doctor import machine
from lab.common.errors import NeedsUnmet, TimedOut
from lab.kiali.console import Console

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS = 60_000
_CY = "document.querySelector('#cy')._cyreg.cy"
_DRAWN = """([edges, setting]) => {
  const box = document.querySelector('#cy');
  if (!box || !box._cyreg || !box._cyreg.cy) return false;
  if (document.querySelector(setting)) return false;  // the menu is still over the graph
  const cy = box._cyreg.cy, shown = cy.scratch('_global');
  return cy.edges().length === edges && shown && shown.showSecurity && !cy.animated();
}"""
_LABELS = f"""() => {_CY}.edges().map(edge => [
  edge.source().data('app') || edge.source().data('service'),
  edge.target().data('app') || edge.target().data('service'),
  edge.style('label')])"""


@dataclass(frozen=True)
class Pictured:
    """What the console drew."""

    locks: dict[tuple[str, str], str]
    """Who calls, what is called -> closed, open, or empty for no lock."""
    complaints: tuple[str, ...]
    """Errors of the page itself."""


def take(console: Console, address: str, edges: int, file: Path) -> Pictured:
    """Open the graph in Chromium, wait until it has been drawn, and write it as PNG.

    edges: how many there must be. Raises NeedsUnmet where there is no browser to be had,
    TimedOut where they are not drawn.
    """
    complaints: list[str] = []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        _wait(page, console, edges, complaints)
        page.evaluate("document.fonts.ready")
        drawn = page.evaluate(_LABELS)
        page.screenshot(path=file)
    return Pictured({(a, b): _lock(console, label) for a, b, label in drawn}, tuple(complaints))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield Debian's Chromium: Playwright's is not to be had everywhere. Raises NeedsUnmet.

    Without a sandbox, as root may be.
    """
    path = shutil.which("chromium", path=machine.SYSTEM_PATH)
    if path is None or not find_spec("playwright"):
        raise NeedsUnmet(
            "a picture of the console needs Chromium and Playwright",
            hint="istio-lab doctor --tests; without --png the console is served for your browser",
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def _wait(page: Page, console: Console, edges: int, complaints: Sequence[str]) -> None:
    from playwright.sync_api import TimeoutError as NotDrawn

    try:
        page.wait_for_function(_DRAWN, arg=[edges, console.security], timeout=PATIENCE_MS)
    except NotDrawn:
        said = "; ".join(complaints) or "without an error of its own"
        raise TimedOut(f"the console did not draw {edges} edges in a minute: {said}") from None


def _lock(console: Console, label: str) -> str:
    if console.closed in label:
        return "closed"
    return "open" if console.open in label else ""
