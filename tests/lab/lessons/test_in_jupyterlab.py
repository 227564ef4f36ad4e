"""What a newcomer does in JupyterLab, by keyboard alone, where no cluster runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyterlab import Notebook, served
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jupyterlab")


@pytest.fixture(scope="module")
def first_page(folder: Path) -> Iterator[str]:
    with served(folder, {"LAB_CLUSTER": "recorded"}) as address:
        yield address


def test_a_first_prediction_is_scored_and_the_lesson_knows_of_it(
    browser: Browser, first_page: str, folder: Path
) -> None:
    page = Notebook(browser, first_page)
    page.run_to("lesson.predict(")
    assert "plaintext, TLS, mutual TLS, nothing" in page.run()
    page.back()
    page.write('lesson.predict(answer="answered", wire="mutual TLS")')
    scored = page.run().splitlines()
    assert "the caller\tanswered\tanswered\tright" in scored
    assert "on the wire\tmutual TLS\tplaintext\twrong" in scored
    kept = json.loads((folder / "notebooks" / "lessons.json").read_text())["lessons"]
    assert kept["plaintext_port"]["true"] == {"answer": "answered", "wire": "plaintext"}
    lesson = Notebook(browser, first_page.replace("00_start_here", "lessons/plaintext_port"))
    lesson.run_to("lab.open_lesson(")
    assert "You predicted: answered, mutual TLS." in lesson.run()


def test_a_call_is_chosen_from_lists_and_the_walk_follows(
    browser: Browser, first_page: str
) -> None:
    notebook = Notebook(browser, first_page.replace("00_start_here", "lessons/explorer"))
    notebook.run_to("lab.open_call()")
    notebook.run()
    page, keys = notebook.page, notebook.page.keyboard
    drawn = "document.querySelectorAll('.lab-widgets select').length === 4"
    page.wait_for_function(drawn)  # widgets are drawn after their cell has run
    notebook.back()
    lists = "[...document.querySelectorAll('.lab-widgets select')].map(one => one.value)"
    measured = ".lab-widgets tr:has(td:text-is('outcome')) td:last-child:text-is('{}')"
    keys.press("Tab")
    page.wait_for_function("document.activeElement.dataset.lmSuppressShortcuts")
    assert page.evaluate(lists) == ["http", "http1.1", "strict", "sidecar"]
    page.wait_for_selector(measured.format("arrives"))
    keys.type("udp")  # in a command's place: of these keys JupyterLab has its own
    page.wait_for_selector(measured.format("refused"))
    keys.press("Tab")
    keys.press("Tab")
    keys.press("ArrowDown")
    page.wait_for_selector(measured.format("arrives"))
    assert page.evaluate(lists) == ["udp", "http1.1", "permissive", "sidecar"]
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Enter")
    page.wait_for_selector(".lab-widgets :text('No call is made: no cluster runs here')")
