"""The static site: whole, and every link of it leads somewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from lab import failures
from lab.common.errors import BadArguments, BadEvidence
from lab.lessons import exercises
from lab.site import build, markdown

pytestmark = pytest.mark.slow  # every notebook becomes a page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, own = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("own")
    (own / "ours.md").write_text("# How we name ports\n\nAs in [the table](../truth-table.md).\n")
    build.write(folder, own)
    return folder


class Links(HTMLParser):
    """The addresses that a page leads to, and the parts that can be led to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.parts: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "a" and named.get("href"):
            self.targets.append(str(named["href"]))
        if named.get("id"):
            self.parts.add(str(named["id"]))


def test_every_link_within_the_site_leads_to_a_page_and_to_a_part_of_it(site: Path) -> None:
    pages = {path: Links(path.read_text()) for path in site.rglob("*.html")}
    lost = []
    for path, found in pages.items():
        for target in found.targets:
            if target.startswith("https://"):
                continue
            file, _, part = target.partition("#")
            there = (path.parent / unquote(file)).resolve() if file else path
            if there not in pages or (part and part not in pages[there].parts):
                lost.append(f"{path.relative_to(site)}: {target}")
    assert lost == []


def test_each_failure_and_each_lesson_has_a_page(site: Path) -> None:
    assert {path.stem for path in (site / "failures").iterdir()} == {*failures.names()}
    assert {path.stem for path in (site / "lessons").iterdir()} == {*exercises.names()}
    atlas = (site / "atlas.html").read_text()
    assert all(f'id="{name}"' in atlas for name in failures.names())


def test_a_teams_own_page_is_one_of_the_site(site: Path) -> None:
    text = (site / "own-ours.html").read_text()
    assert "<h1>How we name ports</h1>" in text
    assert 'href="truth-table.html"' in text
    assert "own-ours.html" in (site / "index.html").read_text()


def test_no_page_runs_or_loads_anything(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script|<iframe|<object|<link\b|@import", text), path
        assert "default-src 'none'" in text


def test_a_folder_without_pages_and_a_page_without_a_title_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadArguments, match="has no page"):
        build.write(tmp_path / "site", tmp_path)
    with pytest.raises(BadEvidence, match="begins with its title"):
        markdown.titled("text\n# Too late\n")


def test_markdown_that_is_no_text_is_left_out() -> None:
    made = markdown.html_of(
        "<script>alert(1)</script>\n\n[out](javascript:alert(1)) [gone](nowhere.md) "
        "[web](https://istio.io) ![x](y.png)\n",
        {},
    )
    assert "<script" not in made
    assert "javascript:" not in made
    assert "gone" in made
    assert "nowhere" not in made
    assert 'href="https://istio.io"' in made
