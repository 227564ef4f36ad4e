"""`istio-lab notebooks FOLDER`: copies of the notebooks, to read, run and change."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from pathlib import Path

from lab.common import files, places
from lab.common.errors import BadArguments, NeedsUnmet
from lab.common.text import printable
from lab.notebook import execute

_OUTSIDE = re.compile(r"!?\[([^\]]*)\]\((?:\.\./)+(?!\w+\.ipynb\))[^)]*\)")
"""A link of Markdown to a file that is no notebook, or a picture there."""


def add(parser: argparse.ArgumentParser) -> None:
    """Take a folder."""
    parser.add_argument("folder", type=Path, help="made where it is not there")


def run(options: argparse.Namespace) -> int:
    """Copy every notebook; say how to open them. What is there is left as it is."""
    written = copy(options.folder)
    print(printable(f"{len(written)} notebooks in {options.folder}"))
    lacking = sorted(places.missing())
    if lacking:
        print(f"To open them, {places.set_up()}")
        return 0
    words = [sys.executable, "-m", "jupyter", "lab", str(options.folder / execute.FIRST)]
    print(printable(f"Next: {shlex.join(words)}"))
    return 0


def copy(folder: Path) -> list[Path]:
    """Copy every notebook into a folder; return the copies. The documentation is not copied.

    Raises BadArguments where one would replace another file, before any is written, and NeedsUnmet
    where the folder cannot be written.
    """
    texts = {
        folder / path.relative_to(execute.NOTEBOOKS): _without_links(path) for path in _notebooks()
    }
    try:
        for path, text in texts.items():
            if path.exists() and path.read_text() != text:
                raise BadArguments(f"{path} is there already, and differs", hint="another folder")
        for path, text in texts.items():
            files.write_bytes(path, text.encode())
    except OSError as error:
        raise NeedsUnmet(f"{folder} cannot be written: {error.strerror}") from None
    return list(texts)


def _without_links(path: Path) -> str:
    """Return a notebook in which links to files that are not copied with it are their text."""
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = [_OUTSIDE.sub(r"\1", line) for line in cell["source"]]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _notebooks() -> list[Path]:
    every = execute.NOTEBOOKS.rglob("*.ipynb")
    return sorted(path for path in every if ".ipynb_checkpoints" not in path.parts)
