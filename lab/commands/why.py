"""`istio-lab why`: what decided each verdict of a run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lab import failures
from lab.bundle import unpack
from lab.commands.arguments import add_run
from lab.commands.show import recorded_run
from lab.commands.stored import judged
from lab.common.text import printable
from lab.model import evidence, store
from lab.render import explain, tools
from lab.truth_table import verdict as cells


def add(parser: argparse.ArgumentParser) -> None:
    """Take a run, and one of its failures."""
    add_run(parser, bundles=True)
    parser.add_argument("failure", nargs="?", help="default: all failures of the run")


def run(options: argparse.Namespace) -> int:
    """Print what decided; return 3 where a failure has no verdict, else 0."""
    if options.run == "recorded":
        for name in [options.failure] if options.failure else [*failures.names(), cells.NAME]:
            print(printable("\n".join([*_recorded(name), ""])))
        return 0
    with unpack.opened(options.run) as folder:
        lines, code = _explain(folder, options.failure)
        # Paths in a bundle are shown as they will be once it is unpacked, not as in this folder.
        temporary = f"{folder.parent}{os.sep}" if unpack.find(options.run) else ""
    print(printable("\n".join(lines).replace(temporary, "")))
    return code


def _recorded(name: str) -> list[str]:
    if name == cells.NAME:
        return explain.lines(cells.judge(cells.recorded()), store.RECORDED / "truth_table")
    found = recorded_run(name)
    return [*explain.lines(found.judge(), found.folder), *_asked(found.folder)]


def _asked(folder: Path) -> list[str]:
    """Return what istioctl said of a failure's worlds, below a line, where it was asked."""
    told = tools.lines(evidence.load(folder)) if folder.name != cells.NAME else []
    return ["", *told] if told else []


def _explain(folder: Path, failure: str | None) -> tuple[list[str], int]:
    """Return why a run's verdicts are as they are, in lines; and the code."""
    verdicts, missing = judged(folder, failure)
    lines = []
    for one in verdicts:
        lines += [*explain.lines(one, folder / one.failure), *_asked(folder / one.failure), "", ""]
    lines += [f"{name}: inconclusive: {reason}\n" for name, reason in missing.items()]
    return lines, 3 if missing else 0
