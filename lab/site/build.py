"""Writes the static site: an atlas of failures, the truth table, lessons, a team's own pages."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import failures
from lab.common import files
from lab.common.errors import BadArguments, NeedsUnmet
from lab.judge.replay import RecordedRun
from lab.lessons import exercises
from lab.lessons.judged import ANSWERS, WIRES
from lab.lessons.lesson import Lesson
from lab.lessons.recorded import RecordedLesson
from lab.model import store
from lab.notebook import execute
from lab.render import tables, wording
from lab.report import executed, page
from lab.site import markdown
from lab.truth_table import results, text
from lab.truth_table.axes import CALLERS, PAYLOADS, POLICIES

INDEX = "index.html"
TEMPLATES = Path(__file__).parent / "templates"
DOCS = store.ROOT / "docs"
SHOWN = ("words.md", "symptoms.md", "evidence.md")
"""Documents that are pages of the site."""
PORTS = "Name your port like this"


@dataclass(frozen=True)
class Page:
    """One page of the site."""

    file: str
    template: str
    title: str
    shown: dict[str, Any]


def write(folder: Path, own: Path | None = None) -> list[Path]:
    """Write the site into a folder; return its pages, the first one first.

    own: a folder with pages of a team's, each a file of Markdown that begins with its title.
    Raises NeedsUnmet where nbconvert is not installed or nothing can be written, and BadArguments
    for a folder without pages.
    """
    if not executed.can_convert():
        raise NeedsUnmet("the site needs nbconvert", hint="pip install 'istio-failure-lab[lab]'")
    pages = [*_pages(own)]
    try:
        for one in pages:
            files.write_text(folder / one.file, _filled(one, pages))
    except OSError as error:
        raise NeedsUnmet(f"{folder} cannot be written: {error.strerror}") from None
    return [folder / one.file for one in pages]


def _filled(one: Page, pages: list[Page]) -> str:
    up = "../" * one.file.count("/")
    listed = [(other.title, f"{up}{other.file}") for other in pages if "/" not in other.file]
    shown = {"title": one.title, "site": listed, "up": up, **one.shown}
    return page.render(one.template, store.runs(), also=TEMPLATES, **shown)


def _pages(own: Path | None) -> Iterator[Page]:
    lessons = [exercises.load(name) for name in exercises.names()]
    yield Page(INDEX, "index.html", "Istio failure lab", {"lessons": lessons})
    yield Page("atlas.html", "atlas.html", "Atlas of failures", {"failures": [*_atlas()]})
    yield _table()
    yield from _documents(_own_files(own))
    for name in failures.names():
        yield _notebook(name)
    for lesson in lessons:
        yield _lesson(lesson)


def _atlas() -> Iterator[dict[str, Any]]:
    """Yield each failure as the atlas shows it."""
    for name in failures.names():
        failure = failures.load(name)
        values = {key: one.default for key, one in failure.parameters.items()}
        verdict = RecordedRun(failure, values).judge()
        yield {
            "name": name,
            "title": failure.title,
            "symptom": failure.symptom,
            "said": wording.said(verdict),
            "claims": tables.questions_table(failure, verdict),
            "remedies": tables.remedies_table([verdict]),
            "sources": failure.sources,
        }


def _table() -> Page:
    """Return the truth table's core: what is sent by what the port is called."""
    rows = results.load(store.RECORDED / "truth_table")
    parts = [
        (policy, caller, text.matrix(rows, {"policy": policy, "caller": caller}))
        for policy in POLICIES
        for caller in CALLERS
    ]
    sends = parts[0][2].header[1:]
    about = {name: PAYLOADS[name].about for name in sends}
    shown = {"parts": parts, "sends": about, "policies": [*POLICIES], "callers": _CALLERS}
    return Page("truth-table.html", "table.html", "Truth table", shown)


_CALLERS = {"sidecar": "a caller with a sidecar", "none": "a caller without one"}


def _documents(own: list[Path]) -> Iterator[Page]:
    """Yield the pages that are written in Markdown: the lab's, and a team's own."""
    links = {f"{name}.ipynb": f"failures/{name}.html" for name in failures.names()}
    links |= {name: f"{Path(name).stem}.html" for name in SHOWN}
    links |= {"truth-table.md": "truth-table.html", "failures.md": "atlas.html"}
    links |= {path.name: f"own-{path.stem}.html" for path in own}
    ports = markdown.section((DOCS / "truth-table.md").read_text(), PORTS)
    body = markdown.html_of(ports, {**links, "": "truth-table.html"})
    yield Page("ports.html", "document.html", PORTS, {"body": body})
    for path in (*(DOCS / name for name in SHOWN), *own):
        title, rest = markdown.titled(path.read_text())
        file = f"own-{path.stem}.html" if path in own else f"{path.stem}.html"
        yield Page(file, "document.html", title, {"body": markdown.html_of(rest, links)})


def _own_files(own: Path | None) -> list[Path]:
    if own is None:
        return []
    found = sorted(own.glob("*.md"))
    if not found:
        raise BadArguments(f"{own} has no page", hint="FILE.md, which begins with # TITLE")
    return found


_FIRST = re.compile(r"<h1\b[^>]*>(.*?)</h1>", re.DOTALL)


def _notebook(name: str) -> Page:
    """Return a failure's notebook as it is committed, with its outputs."""
    path = execute.NOTEBOOKS / f"{name}.ipynb"
    body = executed.convert(path.read_text()).replace("<th></th>", "<td></td>")
    return Page(
        f"failures/{name}.html",
        "notebook_page.html",
        failures.load(name).title,
        {"body": _FIRST.sub("", body, count=1), "name": name},
    )


def _lesson(lesson: Lesson) -> Page:
    """Return what of a lesson can be read: hints, causes and solution are folded away."""
    causes = [*lesson.causes]
    random.Random(lesson.name).shuffle(causes)
    shown = {
        "lesson": lesson,
        "causes": causes,
        "answers": ANSWERS,
        "wires": WIRES,
        "hints": [*_first(lesson.hints(RecordedLesson(lesson).now()))],
    }
    return Page(f"lessons/{lesson.name}.html", "lesson.html", lesson.title, shown)


def _first(found: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for steps in found:
        yield from steps
        return
