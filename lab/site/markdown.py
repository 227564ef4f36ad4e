"""Markdown as a part of a page: only text, tables, and links to pages that there are."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from lab.common.errors import BadEvidence
from lab.report.executed import TAGS

_TITLE = re.compile(r"\A\s*#\s+(.+?)\s*$", re.MULTILINE)
_PART = re.compile(r"<!--.*?-->", re.DOTALL)


def titled(text: str) -> tuple[str, str]:
    """Return a page's title, its heading of the first level, and the text without it.

    Raises BadEvidence where it does not begin with one.
    """
    text = _PART.sub("", text)
    found = _TITLE.match(text)
    if found is None:
        raise BadEvidence("a page begins with its title: # TITLE")
    return found[1], text[found.end() :]


def section(text: str, heading: str) -> str:
    """Return one section of the second level, without its heading."""
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise BadEvidence(f"no section {heading!r} is there")
    return _PART.sub("", found[1])


def html_of(text: str, links: Mapping[str, str]) -> str:
    """Return Markdown as HTML. links: where a link to a file leads on this site.

    A link to a file that is not on the site becomes its text; one to the web stays. `""` is for
    links within the page, of a part of one.
    """
    from nbconvert.filters import markdown2html

    convert: Any = markdown2html  # untyped
    return _linked(_ANCHOR.sub("", str(convert(text))), links)


def _linked(body: str, links: Mapping[str, str]) -> str:
    import bleach

    def allowed(tag: str, name: str, value: str) -> bool:
        if tag == "a":
            return name == "href" and bool(_leads(value, links))
        return name in ("class", "id", "scope")

    clean = bleach.clean(body, tags=TAGS - {"img"}, attributes=allowed, strip=True)
    clean = _ID.sub(lambda found: f'id="{found[1].lower()}"', clean)  # as links name headings
    return _HREF.sub(lambda found: f'href="{_leads(html.unescape(found[1]), links)}"', str(clean))


_ANCHOR = re.compile(r'<a class="anchor-link".*?</a>')
_ID = re.compile(r'\bid="([^"]*)"')
_HREF = re.compile(r'href="([^"]*)"')


def _leads(target: str, links: Mapping[str, str]) -> str:
    """Return where a link leads on the site; empty: nowhere."""
    if target.startswith("https://"):
        return html.escape(target)
    file, hash_, part = target.partition("#")
    if not file and "" not in links:
        return html.escape(target)
    there = links.get(file.rpartition("/")[2], "")
    return html.escape(f"{there}{hash_}{part}") if there else ""
