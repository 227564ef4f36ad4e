"""The documentation names what is there: files, headings, packages, modules, commands, targets."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from lab.model import store

DOCS = sorted((store.ROOT / "docs").glob("*.md"))
ALL = [store.ROOT / "README.md", store.ROOT / "CONTRIBUTING.md", *DOCS]
LONGEST_README = 1400
"""Words that are read in ten minutes."""


def names(path: Path) -> str:
    return str(path.relative_to(store.ROOT))


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)


@cache
def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def broken(path: Path) -> list[str]:
    """The links of a page that lead nowhere in the repository."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"https?://", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        there = target == path or (target.is_relative_to(store.ROOT) and target.exists())
        if not there or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", ALL, ids=names)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(path: Path) -> None:
    assert broken(path) == []


@pytest.mark.parametrize("path", ALL, ids=names)
def test_every_file_that_is_named_is_there(path: Path) -> None:
    files = set(re.findall(r"\b(?:lab|clusters|tests)/[\w./-]+\.(?:py|toml)\b", path.read_text()))
    files -= {"lab/failures/my_failure.py"}  # the one that a newcomer writes
    assert {name for name in files if not (store.ROOT / name).exists()} == set()


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    page = store.ROOT / "docs" / "words.md"
    assert "pin" in anchors(page)
    assert "no-such-word" not in anchors(page)
    stray = tmp_path / "page.md"
    stray.write_text("# Page\n[a](nothing.md) [b](#page) [c](#nowhere) [d](https://example.org)\n")
    assert broken(stray) == ["nothing.md", "#nowhere"]


def test_readme_is_read_in_ten_minutes() -> None:
    assert len((store.ROOT / "README.md").read_text().split()) <= LONGEST_README


def test_readme_leads_to_every_page_of_the_documentation() -> None:
    text = (store.ROOT / "README.md").read_text()
    assert [page.name for page in DOCS if f"](docs/{page.name})" not in text] == []


def test_every_package_has_its_row_in_the_layout() -> None:
    rows = (store.ROOT / "docs" / "layout.md").read_text()
    packages = [path.parent for path in (store.ROOT / "lab").glob("*/__init__.py")]
    packages += [path.parent for path in (store.ROOT / "clusters").glob("*/__init__.py")]
    missing = [
        folder.name
        for folder in packages
        if f"`{names(folder)}`" not in rows and f"`{folder.name}`" not in rows
    ]
    assert packages
    assert missing == []


@cache
def said(*argv: str) -> str:
    return subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", ALL, ids=names)
def test_every_command_that_is_told_is_one(path: Path) -> None:
    commands = set(re.findall(r"(?:istio-lab|python3 -m lab) ([a-z][a-z-]*)", path.read_text()))
    usage = said(sys.executable, "-m", "lab", "help")
    assert {name for name in commands if not re.search(rf"\b{name}\b", usage)} == set()


@pytest.mark.parametrize("path", ALL, ids=names)
def test_every_target_of_make_that_is_told_is_one(path: Path) -> None:
    targets = set(re.findall(r"(?:^\$ |`)make ([a-z][a-z-]*)", path.read_text(), re.MULTILINE))
    makefile = (store.ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    assert targets <= known


def test_every_module_that_has_moved_is_where_it_is_said_to_be() -> None:
    text = (store.ROOT / "docs" / "moved.md").read_text()
    moved = re.findall(r"^\| `[\w.]+` \|(?:.*\|)? `([\w.]+)` \|$", text, re.MULTILINE)
    assert len(moved) > 100
    for module in moved:
        importlib.import_module(module)
