"""The report in a real browser: alone, by keyboard, on a phone, in the dark, on paper."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from browser import Seen
from playwright.sync_api import Browser

from lab.model import store
from lab.report import page

pytestmark = pytest.mark.browser
SIZES = [(1280, 900), (390, 844)]

# Of each element that shows text of its own: its contrast with what is painted behind it.
CONTRASTS = """
() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255;
    return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > .99) return c; }
    return [255, 255, 255]; };
  const found = new Map();
  for (const e of document.querySelectorAll('body *:not(svg, svg *)')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility()) continue;
    const ink = rgb(getComputedStyle(e).color), paper = behind(e);
    const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x);
    found.set(`${ink} on ${paper}`, (a + .05) / (b + .05));
  }
  return [...found];
}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of all that is recorded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_RUNS", str(tmp_path_factory.mktemp("runs")))
        return page.write([store.RECORDED])


def test_it_opens_alone_without_a_complaint_and_runs_nothing(browser: Browser, file: Path) -> None:
    seen = Seen(browser, file)
    assert seen.complaints == []
    assert seen.asked == [file.as_uri()]
    assert seen.page.evaluate("document.scripts.length") == 0
    assert seen.page.title().startswith("RECORDED")


def test_what_would_run_is_refused_by_the_pages_own_policy(browser: Browser, file: Path) -> None:
    seen = Seen(browser, file)
    seen.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')"
    )
    seen.page.wait_for_function("true")
    assert seen.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in one for one in seen.complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_is_never_wider_than_its_window(
    browser: Browser, file: Path, width: int, height: int, scheme: str
) -> None:
    size = {"width": width, "height": height}
    seen = Seen(browser, file, viewport=size, color_scheme=scheme)
    seen.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_paper_is_wide_enough(browser: Browser, file: Path) -> None:
    seen = Seen(browser, file, viewport={"width": 700, "height": 1000})
    seen.page.emulate_media(media="print")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 700


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(
    browser: Browser, file: Path, scheme: str
) -> None:
    seen = Seen(browser, file, color_scheme=scheme)
    found = dict(seen.page.evaluate(CONTRASTS))
    assert len(found) > 8
    assert {what: ratio for what, ratio in found.items() if ratio < 4.5} == {}


def test_the_keyboard_reaches_everything_and_first_of_all_the_way_past_the_contents(
    browser: Browser, file: Path, tmp_path: Path
) -> None:
    shutil.copytree(store.RECORDED / "rest_mtls", tmp_path / "run" / "rest_mtls")
    seen = Seen(browser, page.write([tmp_path / "run"]))
    seen.page.evaluate("document.querySelector('#rest_mtls-downloads details').open = true")
    wanted = seen.page.evaluate(
        "[...document.querySelectorAll('a[href], summary, .box, pre, .paper')]"
        ".filter(one => one.checkVisibility()).map((one, at) => one.dataset.at = String(at))"
    )
    reached = []
    for _ in wanted:
        seen.page.keyboard.press("Tab")
        reached.append(seen.page.evaluate("document.activeElement.dataset.at"))
    assert reached == wanted
    assert len(wanted) > 60
    seen = Seen(browser, file)
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.className") == "skip"
    assert seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    seen.page.keyboard.press("Enter")
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.closest('main') !== null")


def test_a_fold_opens_with_the_keyboard(browser: Browser, file: Path) -> None:
    seen = Seen(browser, file)
    fold = seen.page.locator("#verdicts details")
    assert fold.get_attribute("open") is None
    fold.locator("summary").press("Enter")
    assert fold.get_attribute("open") == ""


def test_paper_shows_what_is_folded(browser: Browser, file: Path) -> None:
    seen = Seen(browser, file)
    inside = seen.page.locator("#verdicts details dl")
    tall = "one => one.getBoundingClientRect().height"
    assert not inside.is_visible()
    seen.page.emulate_media(media="print")
    assert inside.is_visible()
    assert inside.evaluate(tall) > 100
    assert not seen.page.locator("nav").is_visible()


def test_whoever_cannot_see_is_told_all_the_same(browser: Browser, file: Path) -> None:
    seen = Seen(browser, file)
    said = seen.page.evaluate
    unnamed = "[...document.querySelectorAll('img, svg')].filter(one => !(one.getAttribute('alt')"
    unnamed += " || one.getAttribute('aria-label') || one.getAttribute('aria-hidden') === 'true'))"
    assert said(f"{unnamed}.length") == 0
    levels = said("[...document.querySelectorAll('h1, h2, h3, h4')].map(one => +one.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert said("document.documentElement.lang") == "en"
    for landmark in ("header", "nav", "main", "footer"):
        assert seen.page.locator(landmark).count() == 1
    doubled = "[...document.querySelectorAll('[id]')].map(one => one.id)"
    doubled += ".filter((one, at, all) => all.indexOf(one) !== at)"
    assert said(doubled) == []
    lost = "[...document.querySelectorAll('a[href^=\"#\"], use')].filter(one =>"
    lost += " !document.getElementById(one.getAttribute('href').slice(1))).length"
    assert said(lost) == 0
    assert said("document.querySelectorAll('th:not([scope])').length") == 0
