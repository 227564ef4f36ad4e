"""`istio-lab compare`: where two stored runs agree and differ."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from lab.bundle import unpack
from lab.commands.stored import opened
from lab.common.text import terminal_width
from lab.model import store


def add(parser: argparse.ArgumentParser) -> None:
    """Take two runs."""
    parser.add_argument("left", help="a stored run, `latest`, a bundle, or `recorded`")
    parser.add_argument("right", help="the same")


def run(options: argparse.Namespace) -> int:
    """Return 0 where the runs agree, 1 where they differ, 3 where one is inconclusive."""
    from lab.commands import side_by_side

    with ExitStack() as both:
        left, right = (both.enter_context(opened(one)) for one in (options.left, options.right))
        elsewhere = right == store.RECORDED or unpack.find(options.right)
        beside = store.runs() if elsewhere else right
        return side_by_side.compare_runs(left, right, beside, terminal_width())
