"""`istio-lab report`: a run, or several side by side, as one page."""

from __future__ import annotations

import argparse

from lab.commands import sudo
from lab.commands.stored import folder
from lab.common.text import printable
from lab.model import store
from lab.report import page


def add(parser: argparse.ArgumentParser) -> None:
    """Take runs."""
    parser.add_argument("runs", nargs="*", help="stored runs, or `recorded`; default: latest")


def run(options: argparse.Namespace) -> int:
    """Write the page, and print where it is."""
    try:
        written = page.write([folder(word) for word in options.runs or ["latest"]])
    finally:
        sudo.give_back()
    print(f"Report: {printable(str(store.from_here(written)))}")
    return 0
