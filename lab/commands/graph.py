"""`istio-lab graph`: a figure of each edge, with what every plane says about it."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.commands.stored import failures_in, folder
from lab.common.errors import BadEvidence
from lab.common.text import printable
from lab.judge import stored
from lab.render import planes_figure


def add(parser: argparse.ArgumentParser) -> None:
    """Take a run, a failure, and where to write."""
    parser.add_argument("run", help="a stored run, `latest`, or `recorded`")
    parser.add_argument("failure", nargs="?", help="default: all failures, a file each")
    parser.add_argument(
        "-o", "--output", required=True, help="FILE.svg or FILE.png; a folder for several failures"
    )


def run(options: argparse.Namespace) -> int:
    """Write figures, each with its words and its table beside it; 3 where evidence is damaged."""
    place, code = folder(options.run), 0
    given = Path(options.output)
    for failure in failures_in(place, options.failure):
        single = options.failure and not given.is_dir()
        path = given if single else given / planes_figure.file_name(failure.name)
        try:
            written = planes_figure.write(stored.open_case(failure, place), path)
            print(printable(f"{written}\n{written.with_suffix('.md')}: the same in words"))
        except BadEvidence as problem:
            print(printable(f"{failure.name}: not drawn: {problem}"))
            code = 3
    return code
