"""`istio-lab judge`: stored runs or bundles, judged again. It asks no cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lab.commands.stored import judged, opened
from lab.common import places
from lab.common.errors import BadBundle
from lab.common.text import printable, terminal_width
from lab.judge import stored
from lab.model import store
from lab.render import wording
from lab.render.tables import claims_table


def add(parser: argparse.ArgumentParser) -> None:
    """Take runs."""
    parser.add_argument(
        "runs", nargs="*", help="stored runs, bundles or `recorded`; default: all stored runs"
    )


def run(options: argparse.Namespace) -> int:
    """Print each run's verdicts as they are judged now; return the worst code of all."""
    names = options.runs or [one.name for one in store.stored()]
    codes = []
    for name in names:
        try:
            with opened(name) as folder:
                codes.append(_judge(folder))
        except BadBundle as wrong:  # the others can still be judged
            print(f"lab: {printable(str(wrong))}", file=sys.stderr)
            codes.append(wrong.exit_code)
    if not names:
        print(f"no run is stored yet; {places.REPRODUCE} stores one")
    return stored.worst(codes) if codes else 0


def _judge(folder: Path) -> int:
    """Print a run's verdicts as they are judged now; return its code."""
    verdicts, missing = judged(folder, None)
    name = wording.said(verdicts[0]) if folder == store.RECORDED else folder.name
    print(printable(claims_table(verdicts, name).text(terminal_width())) + "\n")
    for name, why in missing.items():
        print(printable(f"{name}: inconclusive: {why}\n"))
    return stored.exit_code(verdicts, missing)
