"""`istio-lab cost`: what mTLS costs, measured on this machine, and shown."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from lab.commands.arguments import add_cluster
from lab.common import files
from lab.common.text import printable, terminal_width


def add(parser: argparse.ArgumentParser) -> None:
    """Take what is to be done, and how much is measured."""
    what = parser.add_subparsers(dest="what", required=True, metavar="run|show")
    run = what.add_parser("run", help="measure for about twelve minutes; nothing else should run")
    run.add_argument("--rounds", type=int, default=10, help="default: 10")
    run.add_argument("--seconds", type=float, default=3.0, help="of a sample; default: 3")
    add_cluster(run)
    show = what.add_parser("show", help="show a measurement, or two beside each other")
    show.add_argument("files", nargs="*", type=Path, help="default: the recorded ones")


def run(options: argparse.Namespace) -> int:
    """Measure and keep, or show; return 0."""
    return _run(options) if options.what == "run" else _show(options.files)


def _run(options: argparse.Namespace) -> int:
    from clusters import open_cluster
    from lab.model import store
    from lab.mtls_cost import measurement
    from lab.mtls_cost.measure import NAME, Settings, measure

    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {printable(line)}", file=sys.stderr)

    cluster = open_cluster(options.cluster)
    cluster.up(tell, owned=True)
    folder = store.new_run()
    found = measure(cluster, folder, Settings(options.rounds, options.seconds), tell)
    path = folder / f"{NAME}.json"
    files.write_json(path, measurement.to_json(found))
    return _show([path])


def _show(paths: list[Path]) -> int:
    from lab.mtls_cost import tables
    from lab.mtls_cost.notebook import opened

    found = opened(paths)
    shown = [
        tables.cpu(found[0]),
        *(tables.ratio_table(one) for one in found),
        tables.connections(found[0]),
        tables.bytes_sent(found[0]),
    ]
    for table in shown:
        print(table.text(terminal_width()), end="\n\n")
    return 0
