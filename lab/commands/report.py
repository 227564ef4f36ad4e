"""`istio-lab report`: a run, or several side by side, as one page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lab.commands import kiali, sudo, table_page
from lab.commands.stored import failures_in, folder
from lab.common import places
from lab.common.errors import LabError
from lab.common.text import printable
from lab.model import store
from lab.report import executed, page
from lab.report.consoles import ConsolePicture


def add(parser: argparse.ArgumentParser) -> None:
    """Take runs."""
    parser.add_argument("runs", nargs="*", help="stored runs, or `recorded`; default: latest")
    parser.add_argument(
        "--kiali",
        action="store_true",
        help="with the post's graph as Kiali's real console draws it; needs npm and Chromium",
    )


def run(options: argparse.Namespace) -> int:
    """Write the page, and print where it is; that of a truth table is a page of its own."""
    folders = [folder(word) for word in options.runs or ["latest"]]
    try:
        tables = [found for place in folders if (found := table_page.write(place))]
        others = [
            place for place in folders if failures_in(place, None) or not table_page.is_there(place)
        ]
        consoles = {one: _consoles(one) for one in others} if options.kiali else {}
        written = [*tables, *([page.write(others, consoles=consoles)] if others else ())]
    finally:
        sudo.give_back()
    if executed.left_out(others):
        print(f"Notebooks are linked as files; to make pages of them, {places.set_up()}")
    for path in written:
        print(f"Report: {printable(str(store.from_here(path)))}")
    return 0


def _consoles(place: Path) -> list[ConsolePicture]:
    """Return the console's pictures; none, with a sentence, where they cannot be taken here."""
    try:
        return kiali.pictures(place, print)
    except LabError as problem:
        print(f"without Kiali's pictures: {printable(str(problem))}", file=sys.stderr)
        return []
