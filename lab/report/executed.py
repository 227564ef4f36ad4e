"""Writes executed notebooks as pages of the report.

A notebook may come from anybody: of the HTML that nbconvert makes, only text, tables and figures
are kept. Importing nbconvert takes longer than writing all the rest of a report: it is imported
only when it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.common import files, untrusted
from lab.common.errors import BadEvidence

if TYPE_CHECKING:
    from lab.report.cells import CellsReport
    from lab.report.stored import FailureReport, ReportedRun

TAGS = frozenset(
    (
        *("a", "b", "br", "code", "del", "em", "hr", "i", "img", "ins", "pre", "s", "span"),
        *("strong", "sub", "sup", "wbr", "div", "p", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("dd", "dl", "dt", "li", "ol", "ul", "table", "tbody", "td", "th", "thead", "tr"),
    )
)
_RULES = re.compile(r"(?is)<(style|script)\b.*?(</\1\s*>|$)")
Render = Callable[["FailureReport | CellsReport", str], str]


def write(run: ReportedRun, folder: Path, render: Render) -> Mapping[str, str]:
    """Write the page of each notebook; return failure -> its file in the report's folder.

    render: makes the whole page from a notebook's HTML. A notebook that cannot be read has no
    page: it is linked as a file, and so are all where nbconvert is not installed.
    """
    written: dict[str, str] = {}
    if not can_convert():
        return written
    for report in (*run.reports, *((run.cells,) if run.cells else ())):
        path = report.folder / "notebook.ipynb"
        if not untrusted.is_there(path):
            continue
        try:
            body = convert(untrusted.read_text(path, report.folder))
        except BadEvidence:
            continue
        name = f"{report.failure.name}.html"
        files.write_text(folder / name, render(report, body))
        written[report.failure.name] = name
    return written


def can_convert() -> bool:
    """Tell whether nbconvert is installed, which an installed wheel has by its extra only."""
    return find_spec("nbconvert") is not None


def left_out(folders: Iterable[Path]) -> bool:
    """Tell whether runs have notebooks that become no pages, as nbconvert is not installed."""
    there = any(path for one in folders for path in one.glob("*/notebook.ipynb"))
    return there and not can_convert()


def convert(text: str) -> str:
    """Convert a notebook to HTML that runs and loads nothing.

    Raises BadEvidence for what is no notebook.
    """
    import nbformat
    from nbconvert.exporters import HTMLExporter

    export: Any = HTMLExporter  # untyped, as nbformat is
    exporter = export(
        template_name="basic",
        exclude_anchor_links=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    reads: Any = nbformat.reads
    try:
        untrusted.parse(text)  # as strictly as everything else that is read
        body, _ = exporter.from_notebook_node(reads(text, as_version=4))
    except Exception as wrong:  # nbformat and nbconvert promise no kind of error
        raise BadEvidence(f"a notebook is damaged: {type(wrong).__name__}") from None
    return harmless(str(body))


def harmless(body: str) -> str:
    """Keep what only shows: no script, form, frame, style or reload, and only https links."""
    import bleach

    return str(
        bleach.clean(
            _without_rules(body),
            tags=TAGS,
            attributes=_allowed,
            protocols={"https", "data"},
            strip=True,
        )
    )


def _allowed(tag: str, name: str, value: str) -> bool:
    if tag == "img":
        return name == "alt" or (name == "src" and value.startswith("data:image/"))
    if tag == "a":
        return name == "href" and value.startswith(("https://", "#"))
    return name in ("class", "colspan", "rowspan")


def _without_rules(body: str) -> str:
    """Remove style and script elements with their text, which would show without its tag."""
    return _RULES.sub("", body)
