"""`istio-lab site`: everything that needs no cluster, as a static site."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.common.text import printable


def add(parser: argparse.ArgumentParser) -> None:
    """Take a folder, and one of pages of a team's own."""
    parser.add_argument("folder", type=Path, help="made where it is not there")
    parser.add_argument("--pages", type=Path, metavar="FOLDER", help="Markdown of your own")


def run(options: argparse.Namespace) -> int:
    """Write the site, and print where it begins."""
    from lab.site import build

    written = build.write(options.folder, options.pages)
    print(printable(f"{len(written)} pages; open {written[0]}"))
    return 0
