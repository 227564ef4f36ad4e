"""`istio-lab report`: a run, or several side by side, as one page."""

from __future__ import annotations

import argparse

from lab.commands import sudo, table_page
from lab.commands.stored import failures_in, folder
from lab.common.text import printable
from lab.model import store
from lab.report import page


def add(parser: argparse.ArgumentParser) -> None:
    """Take runs."""
    parser.add_argument("runs", nargs="*", help="stored runs, or `recorded`; default: latest")


def run(options: argparse.Namespace) -> int:
    """Write the page, and print where it is; that of a truth table is a page of its own."""
    places = [folder(word) for word in options.runs or ["latest"]]
    try:
        tables = [found for place in places if (found := table_page.write(place))]
        others = [
            place for place in places if failures_in(place, None) or not table_page.is_there(place)
        ]
        written = [*tables, *([page.write(others)] if others else ())]
    finally:
        sudo.give_back()
    for path in written:
        print(f"Report: {printable(str(store.from_here(path)))}")
    return 0
