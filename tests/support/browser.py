"""A real Chromium, without a network, for tests that look at a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.kiali.picture import PATIENCE_MS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def running_browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def browser(running_browser: Browser) -> Iterator[Browser]:
    """Close what a test has opened: the pages of a whole module would be gigabytes."""
    yield running_browser
    for context in running_browser.contexts:
        context.close()


class Seen:
    """A page that was opened, and what it asked for or complained of meanwhile."""

    def __init__(self, browser: Browser, file: Path, **how: Any) -> None:
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page: Page = browser.new_context(offline=True, **how).new_page()
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri(), timeout=PATIENCE_MS)
