"""Arguments that several commands take, with one text for each."""

from __future__ import annotations

import argparse

from clusters import KINDS, made_by_lab


def add_cluster(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add `--cluster`. several: whether `a,b` may follow."""
    there = ", ".join(entry.written for entry in KINDS.values())
    own = ",".join(made_by_lab())
    parser.add_argument(
        "--cluster",
        default="auto",
        help=f"{there}{f'; or {own}, one after the other' if several else ''}; "
        "default: LAB_CLUSTER, else embedded",
    )


def add_run(parser: argparse.ArgumentParser, *, bundles: bool = False) -> None:
    """Add RUN, a stored run. bundles: whether a bundle may be named too."""
    parser.add_argument(
        "run",
        nargs="?",
        default="latest",
        help=f"a stored run, `latest`, `recorded`{', or a bundle' if bundles else ''}; "
        "default: latest",
    )
