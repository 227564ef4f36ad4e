"""Sanitizes every value that a template shows: it may come from anybody.

Secrets are taken out, a long text is cut, control characters and marks that turn the direction of
writing are shown as `?`, and what names this machine's folders becomes relative. Escaping comes
after it, by the templates themselves.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.common.redaction import redact
from lab.common.text import printable

LONGEST = 6000
"""Characters of one value; a whole answer of httpbin has 900."""
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


@functools.lru_cache(maxsize=1 << 12)
def shown(text: str) -> str:
    """Return a text as a page may hold it."""
    more = len(text) - LONGEST
    kept = redact(text[:LONGEST])
    told = f"{kept} ... and {more} more characters" if more > 0 else kept
    return _TURNS.sub("?", printable(told))


def finalize(folders: tuple[Path, ...]) -> Callable[[Any], Any]:
    """Return what jinja2 does with each value before it escapes it.

    folders: paths below them are shown relative to them.
    """
    from markupsafe import Markup

    prefixes = [f"{folder}/" for folder in folders]

    def finished(value: Any) -> Any:
        if isinstance(value, str) and not isinstance(value, Markup):
            for prefix in prefixes:
                value = value.replace(prefix, "")
            return shown(value)
        return "" if value is None else value

    return finished
