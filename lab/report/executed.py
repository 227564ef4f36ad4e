"""Executed notebooks as pages of the report.

A notebook may come from anybody: of what nbconvert makes of it, only text, tables and figures are
kept. nbconvert takes longer to import than all the rest of a report takes: it is asked for by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.common import files, untrusted
from lab.common.errors import BadEvidence

if TYPE_CHECKING:
    from lab.report.stored import Run, Told

TAGS = frozenset(
    (
        *("a", "b", "br", "code", "del", "em", "hr", "i", "img", "ins", "pre", "s", "span"),
        *("strong", "sub", "sup", "wbr", "div", "p", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("dd", "dl", "dt", "li", "ol", "ul", "table", "tbody", "td", "th", "thead", "tr"),
    )
)
_RULES = re.compile(r"(?is)<(style|script)\b.*?(</\1\s*>|$)")
Render = Callable[["Told", str], str]


def write(run: Run, folder: Path, render: Render) -> Mapping[str, str]:
    """Write the page of each notebook; returns failure -> its file in the report's folder.

    render: the whole page, from what the notebook became. A notebook that cannot be read has no
    page: it is linked as it is.
    """
    written = {}
    for told in run.told:
        path = told.folder / "notebook.ipynb"
        if not untrusted.is_there(path):
            continue
        try:
            body = convert(untrusted.read_text(path, told.folder))
        except BadEvidence:
            continue
        name = f"{told.failure.name}.html"
        files.write_text(folder / name, render(told, body))
        written[told.failure.name] = name
    return written


def convert(text: str) -> str:
    """A notebook as HTML without anything that runs or loads.

    Raises BadEvidence where it is none.
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
    """HTML with only what shows: no script, form, frame, style or reload, no address but https."""
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
    """Without the text of elements that are no text: stripped of its tag it would show."""
    return _RULES.sub("", body)
