"""The site in a real browser: accessible by axe-core's rules, and whole by keyboard."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import Seen
from playwright.sync_api import Browser

from lab.site import build

pytestmark = pytest.mark.browser
KINDS = (
    "index.html",
    "atlas.html",
    "truth-table.html",
    "ports.html",
    "symptoms.html",
    "failures/tcp_mtls.html",
    "failures/who_speaks_first.html",
    "lessons/plaintext_port.html",
)
"""A page of each kind, and the longest ones."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build.write(folder)
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_no_violation(browser: Browser, site: Path, name: str, scheme: str) -> None:
    seen = Seen(browser, site / name, color_scheme=scheme)
    assert seen.complaints == []
    seen.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    # What axe-core is run by has to be let into the page, whose own policy refuses scripts.
    found = Axe().run(seen.page)
    assert found.violations_count == 0, found.generate_report()


def test_a_page_that_is_not_accessible_is_noticed(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    file.write_text("<!doctype html><title>x</title><main><img src='data:,'><h3>x</h3></main>")
    found = Axe().run(Seen(browser, file).page)
    assert {"image-alt", "html-has-lang"} <= {one["id"] for one in found.response["violations"]}


@pytest.mark.parametrize("name", KINDS)
def test_headings_are_in_order_and_the_first_is_the_only_one_of_its_level(
    browser: Browser, site: Path, name: str
) -> None:
    said = Seen(browser, site / name).page.evaluate
    levels = said("[...document.querySelectorAll('h1, h2, h3, h4')].map(one => +one.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_truth_table_is_filtered_by_keyboard(browser: Browser, site: Path) -> None:
    page = Seen(browser, site / "truth-table.html").page
    shown = "[...document.querySelectorAll('.cells')].filter(one => one.checkVisibility())"
    assert page.evaluate(f"{shown}.map(one => one.id)") == ["cells-strict-sidecar"]
    page.locator("#policy-strict").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{shown}.map(one => one.id)") == ["cells-permissive-none"]
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    columns = (
        f"[...{shown}[0].querySelectorAll('thead tr > *')].filter(one => one.checkVisibility())"
    )
    assert page.evaluate(f"{columns}.map(one => one.innerText.trim())") == ["", "http1.0"]


def test_a_lessons_answers_are_folded_and_open_by_keyboard(browser: Browser, site: Path) -> None:
    page = Seen(browser, site / "lessons" / "plaintext_port.html").page
    cause = page.get_by_text("Right: The port's name begins with udp.")
    assert not cause.is_visible()
    fold = page.locator("details", has=cause)
    fold.locator("summary").press("Enter")
    assert cause.is_visible()
