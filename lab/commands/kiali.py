"""`istio-lab kiali`: Kiali's real console over a stored run, or a picture of its graph."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lab.commands.stored import failures_in, folder
from lab.common import scratch
from lab.common.errors import BadArguments
from lab.common.text import printable
from lab.judge import stored
from lab.judge.case import Case

if TYPE_CHECKING:
    from clusters.base import Progress
    from lab.kiali.picture import Pictured
    from lab.report.consoles import ConsolePicture

POSTS = ("rest_mtls", "tcp_mtls")
"""The edges of the post's graph: httpbin with a lock, tcp-echo without."""


def add(parser: argparse.ArgumentParser) -> None:
    """Take a run, a failure and its world, and a generation of the console."""
    parser.add_argument("run", help="a stored run, `latest`, or `recorded`")
    parser.add_argument(
        "failures", nargs="*", default=POSTS, help=f"default: {' and '.join(POSTS)}"
    )
    parser.add_argument("--world", default="posted", help="one of their worlds; default: posted")
    parser.add_argument("--generation", default="1.0", help="1.0 (default), 1.6 or 1.31")
    parser.add_argument("--port", type=int, default=0, help="on loopback; default: any free one")
    parser.add_argument("--png", type=Path, metavar="FILE", help="take a picture, and end")


def run(options: argparse.Namespace) -> int:
    """Serve the console until Ctrl-C; or write a picture, and say which locks it has."""
    from lab.kiali import console, picture
    from lab.kiali.answers import Answers, draw
    from lab.kiali.serve import serving

    chosen = console.named(options.generation)
    drawn = draw(_cases(options), options.world, chosen.rules)
    answers = Answers(drawn.edges, chosen.rules)
    files = console.obtain(chosen, print)
    with serving(chosen, files, answers, options.port) as address:
        print(chosen.caption)
        for call, why in drawn.unknown.items():
            print(printable(f"not in the graph: {call}: {why}"))
        if options.png is None:
            print(f"{address}\nCtrl-C ends it.", flush=True)
            threading.Event().wait()
        seen = picture.take(chosen, address, len(drawn.edges), options.png)
    for line in _locks(seen):
        print(printable(line))
    print(options.png)
    return 0


def pictures(place: Path, tell: Progress) -> list[ConsolePicture]:
    """Take the post's graph of a run by each generation of the console.

    Raises as a picture does: NeedsUnmet without npm or a browser. A run without the post's graph
    has no picture.
    """
    from lab.kiali import console, picture
    from lab.kiali.answers import Answers, draw
    from lab.kiali.serve import serving
    from lab.report.consoles import ConsolePicture

    found = []
    cases = [stored.open_case(one, place) for one in failures_in(place, None) if one.name in POSTS]
    for chosen in console.CONSOLES.values() if cases else ():
        drawn = draw(cases, "posted", chosen.rules)
        files = console.obtain(chosen, tell)
        answers = Answers(drawn.edges, chosen.rules)
        with scratch.folder() as into, serving(chosen, files, answers, 0) as address:
            seen = picture.take(chosen, address, len(drawn.edges), into / "graph.png")
            png = (into / "graph.png").read_bytes()
        found.append(ConsolePicture(png, chosen.caption, "; ".join(_locks(seen))))
    return found


def _locks(seen: Pictured) -> Iterator[str]:
    for (source, destination), lock in sorted(seen.locks.items()):
        yield f"{source} -> {destination}: {f'{lock} lock' if lock else 'no lock'}"


def _cases(options: argparse.Namespace) -> list[Case]:
    place = folder(options.run)
    named = [one for name in options.failures for one in failures_in(place, name)]
    cases = [stored.open_case(failure, place) for failure in named]
    for case in cases:
        if options.world not in case.evidence.worlds:
            known = ", ".join(case.evidence.worlds)
            raise BadArguments(
                f"{case.failure.name} has no world {options.world!r}", hint=f"it has {known}"
            )
    return cases
