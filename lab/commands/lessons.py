"""`istio-lab lessons`: the lessons' notebooks, run from top to bottom: do they still hold?."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.commands.arguments import add_cluster
from lab.common import scratch
from lab.common.errors import BadArguments
from lab.common.suggest import meant
from lab.lessons import exercises, progress
from lab.lessons.progress import Progress

AT_ONCE = 2
EXPECTED = ("not yet", "correct")
"""What a lesson's two checks say: of the mesh as it is broken, and after the solution."""


def add(parser: argparse.ArgumentParser) -> None:
    """Take lessons and `--cluster`."""
    parser.add_argument("names", nargs="*", metavar="LESSON", help="default: all")
    add_cluster(parser)


def run(options: argparse.Namespace) -> int:
    """Run the notebooks; print a line for each; return 0 where each holds, else 1."""
    from clusters import kind_of, open_cluster, wanted
    from lab.model import store

    names = options.names or exercises.names()
    if unknown := [one for one in names if one not in exercises.names()]:
        near = meant(unknown[0], exercises.names())
        raise BadArguments(
            f"no lesson {unknown[0]!r}: {near}there is {', '.join(exercises.names())}"
        )
    if kind_of(options.cluster).replayed:
        raise BadArguments("lessons are checked on a cluster that runs", hint="--cluster embedded")
    began = time.monotonic()
    os.environ["LAB_CLUSTER"] = wanted(options.cluster)
    open_cluster(options.cluster).up(lambda step: print(f"  {step}", flush=True), owned=True)
    folder = store.new_run()
    with scratch.folder() as private, ThreadPoolExecutor(AT_ONCE) as pool:
        told = [*pool.map(lambda name: _ran(name, folder, Path(private)), names)]
    wrong = [one for one in told if one]
    print(f"{len(told) - len(wrong)} of {len(told)} lessons hold, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


def _ran(name: str, folder: Path, private: Path) -> str:
    """Run a lesson's notebook; return what is wrong with it, or nothing."""
    place, began = folder / name, time.monotonic()
    place.mkdir()
    own = place / "lessons.json"
    arguments = [f"lessons/{name}", str(place), str(private), json.dumps({})]
    with (
        (place / "notebook.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "lab.notebook.execute", *arguments],
            stdin=subprocess.PIPE,  # never written to: it ends when this process does
            stdout=log,
            stderr=log,
            env={**os.environ, progress.VARIABLE: str(own)},
        ) as notebook,
    ):
        code = notebook.wait()
    wrong = _wrong(name, own, code, place)
    print(f"  {name:<20} {wrong or 'holds':<40} {time.monotonic() - began:5.1f} s", flush=True)
    return wrong


def _wrong(name: str, own: Path, code: int, place: Path) -> str:
    if code:
        return f"its notebook ended with {code}: {place / 'notebook.log'}"
    there: dict[str, Progress] = progress.read(own)
    checks = there[name].checks
    return "" if checks == EXPECTED else f"its checks said {', '.join(checks)}"
