"""`istio-lab table`: the truth table, measured, shown, explained and compared."""

from __future__ import annotations

import argparse
import functools
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from lab.commands.arguments import add_cluster
from lab.common import places
from lab.common.errors import BadArguments
from lab.common.suggest import meant
from lab.common.text import printable, terminal_width

if TYPE_CHECKING:
    from lab.truth_table.cells import Cell
    from lab.truth_table.recorded import Call, Recorded

LISTED = 60
"""Cells that are shown a line each."""


def add(parser: argparse.ArgumentParser) -> None:
    """Take what is to be done, and what with."""
    what = parser.add_subparsers(dest="what", required=True, metavar="|".join(_DOES))
    _add_run(what.add_parser("run", help="measure the table on a cluster"))
    predict = what.add_parser(
        "predict", help="what the model foretells of a run's configuration; no call is made"
    )
    predict.add_argument("--cells", default="*", metavar="PATTERN")
    predict.add_argument("--run", default="latest", help="`latest`, a run's folder or name")
    show = what.add_parser("show", help="show a stored table as a matrix, or cells by a pattern")
    show.add_argument("cells", nargs="?", default="", metavar="PATTERN", help="cells to be listed")
    show.add_argument(
        "--run", default="recorded", help="`latest`, a run's folder or name; default: recorded"
    )
    show.add_argument("--disagreeing", action="store_true", help="cells that the model got wrong")
    show.add_argument(
        "--where", nargs="*", default=[], metavar="AXIS=VALUE", help="policy=strict caller=none"
    )
    surprises = what.add_parser("surprises", help="show what is not as one would expect")
    surprises.add_argument("--run", default="recorded")
    why = what.add_parser("why", help="show what decided a cell, and the walk that foretold it")
    why.add_argument("cell")
    why.add_argument("--run", default="latest")
    diff = what.add_parser("diff", help="compare stored tables; 1 where a cell differs")
    diff.add_argument("runs", nargs="+", metavar="RUN")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cells", default="*", metavar="PATTERN", help="only these: `h2/*`, `*/strict/sidecar`"
    )
    parser.add_argument(
        "--core",
        action="store_true",
        help="only the core; record keeps its mesh, by which calls are walked without a cluster",
    )
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="N drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the draw; default: 0")
    parser.add_argument(
        "--shards",
        type=int,
        default=0,
        metavar="N",
        help="measure the cells in N meshes, one after the other; default: what the cluster needs",
    )
    parser.add_argument("--alone", action="store_true", help="each cell in a mesh of its own")
    add_cluster(parser)


def run(options: argparse.Namespace) -> int:
    """Do what was asked; see `_run` and its like for the codes."""
    return _DOES[options.what](options)


def _run(options: argparse.Namespace) -> int:
    """Measure; return 0 where every answer was foretold, 1 where one was not."""
    from clusters import open_cluster
    from lab.commands import table_page
    from lab.model import store
    from lab.truth_table import compare, page, results, shards
    from lab.truth_table.run import measure_shards

    places.require_extra()
    cluster = open_cluster(options.cluster)
    cells = _offered(cluster.kind, _chosen(options))
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {printable(line)}", file=sys.stderr)

    cluster.up(tell, owned=True)
    each = (
        shards.alone(cells)
        if options.alone
        else shards.divided(cells, options.shards or shards.default(cluster, cells))
    )
    at_once = shards.ALONE_AT_ONCE if options.alone else 1
    run = store.new_run()
    folder = measure_shards(cluster, each, run, tell, at_once=at_once)
    tell("judging")
    rows = results.judge_run(folder)
    results.save(rows, folder)
    compare.keep_about(folder, _options(options))
    table_page.write(run)
    wrong = [row.cell.key for row in rows if not row.agrees]
    agreed = f"{1 - len(wrong) / len(rows):.2%}" if rows else "none"
    print(f"{len(rows)} cells measured in {time.monotonic() - began:.0f} s, {agreed} as foretold")
    print(f"{store.from_here(folder)}: {results.CSV}, {results.PARQUET}, {table_page.INDEX}")
    if options.cells != "*" or options.core:
        known = results.load(page.RECORDED)
        for line in compare.departures(results.load(folder), known):
            print(line)
    if wrong:
        print("not as foretold: istio-lab table show --run latest --disagreeing")
    return 1 if wrong else 0


def _options(options: argparse.Namespace) -> str:
    """Return the options that chose cells, as they are typed; empty: all were measured."""
    cells = "" if options.cells == "*" else f"--cells {shlex.quote(options.cells)}"
    core = "--core" if options.core else ""
    sample = f"--sample {options.sample} --seed {options.seed}" if options.sample else ""
    return " ".join(filter(None, (core, cells, sample, "--alone" if options.alone else "")))


def _chosen(options: argparse.Namespace) -> list[Cell]:
    """Return the cells that are asked for. Raises BadArguments where there is none."""
    import random

    from lab.truth_table import plan

    whole = plan.core() if options.core else plan.cells()
    found = [cell for cell in whole if fnmatchcase(cell.key, options.cells)]
    if not found:
        raise BadArguments(f"no cell is named {options.cells!r}", hint="istio-lab table run --help")
    if options.sample and options.sample < len(found):
        found = random.Random(options.seed).sample(found, options.sample)
    return found


def _offered(kind: str, chosen: list[Cell]) -> list[Cell]:
    """Return what this kind of cluster can measure, and tell what it cannot.

    Raises BadArguments where it can measure none.
    """
    from lab.truth_table import databases

    cells = databases.offered(kind, chosen)
    if not cells:
        raise BadArguments(
            f"the {kind} cluster has no database servers", hint="use --cluster embedded"
        )
    if left := len(chosen) - len(cells):
        print(f"left out: {left} cells of databases, which only embedded has", file=sys.stderr)
    return cells


def _show(options: argparse.Namespace) -> int:
    from lab.truth_table import results, text

    rows = results.load(_folder(options.run))
    listed = [
        row
        for key, row in rows.items()
        if (options.disagreeing and row["agrees"] == "False")
        or (options.cells and fnmatchcase(key, options.cells))
    ]
    if options.cells or options.disagreeing:
        print(printable(text.listing(listed[:LISTED]).text(terminal_width())))
        print(f"{len(listed)} cells" + (f", {LISTED} shown" if len(listed) > LISTED else ""))
        return 0
    print(printable(text.matrix(rows, _where(options.where)).text(max(160, terminal_width()))))
    return 0


def _surprises(options: argparse.Namespace) -> int:
    from lab.truth_table import results, surprises

    rows = results.load(_folder(options.run)).values()
    print(printable(surprises.table(rows).text(max(120, terminal_width()))))
    return 0


def _where(words: list[str]) -> Mapping[str, str]:
    """Return the axes that are fixed. Raises BadArguments for what is none."""
    from lab.truth_table.results import CELL

    fixed = dict(word.partition("=")[::2] for word in words)
    for axis in fixed:
        if axis not in CELL:
            raise BadArguments(f"no axis {axis!r}: {meant(axis, CELL)}there is {', '.join(CELL)}")
    return fixed


def _predict(options: argparse.Namespace) -> int:
    """Show what is foretold, with the walk; return 3 where an end is unknown, else 0."""
    from lab.truth_table import stored_mesh, text

    found = _recordings(options.run, options.cells)
    read = functools.cache(stored_mesh.read)
    told = [text.foretold(one, read(one), call) for one, call in found[:LISTED]]
    print(printable("\n\n\n".join(words for words, _ in told)))
    print(f"\n{len(found)} cells" + (f", {LISTED} shown" if len(found) > LISTED else ""))
    return 0 if all(known for _, known in told) else 3


def _recordings(run: str, pattern: str) -> list[tuple[Recorded, Call]]:
    """Return the calls of cells by a pattern, with what was recorded. Raises BadArguments."""
    from lab.truth_table.recorded import of_run

    every = [(one, call) for one in of_run(_folder(run)) for call in one.calls]
    if not every:
        raise BadArguments(
            f"table {run!r} has its answers only, without configuration and packets",
            hint="istio-lab table run",
        )
    found = [(one, call) for one, call in every if fnmatchcase(call.cell.key, pattern)]
    if not found:
        near = meant(pattern, [call.cell.key for _, call in every])
        raise BadArguments(
            f"no cell {pattern!r} in this table: {near}", hint="istio-lab table show 'PATTERN'"
        )
    return found


def _why(options: argparse.Namespace) -> int:
    """Explain a cell. Raises BadArguments where it is not in the table."""
    from lab.truth_table import text

    recorded, call = _recordings(options.run, options.cell)[0]
    print(printable(text.why(recorded, call)))
    return 0


def _diff(options: argparse.Namespace) -> int:
    """Compare; return 0 where each cell that all have is answered alike, 1 where one is not.

    Return 3 where no cell is in all of them.
    """
    from lab.truth_table import compare, results, text

    folders = [_folder(name) for name in options.runs]
    tables = [compare.load(_name(folder), folder) for folder in folders]
    rows = [one.rows for one in tables]
    found = results.differing(rows)
    shared = sum(all(key in each for each in rows) for key in rows[0])
    width = max(140, terminal_width())
    print(printable(compare.identity(tables).text(width)), end="\n\n")
    for line in compare.lacking(tables):
        print(printable(line))
    if found:
        differences = text.differences(found, [one.name for one in tables])
        print(printable(f"\n{differences.text(width)}\n"))
    print(f"{len(found)} of {shared} cells that all of them have differ")
    return 3 if not shared else 1 if found else 0


def _name(folder: Path) -> str:
    """Return a run's name, of the folder of its table."""
    from lab.model import store

    return "recorded" if folder == store.RECORDED / "truth_table" else folder.parent.name


def _folder(name: str) -> Path:
    """Return the folder of a stored table. Raises BadArguments with what there is."""
    from lab.model import store
    from lab.truth_table.recorded import NAME
    from lab.truth_table.results import CSV
    from lab.truth_table.verdict import NAME as CELLS

    if name == "recorded":
        return store.RECORDED / "truth_table"
    there = sorted(path.parent for path in store.runs().glob(f"*/truth_table/{CSV}"))
    there = [path for path in there if not path.parent.is_symlink()]
    if name == "latest" and there:
        return there[-1]
    places = (Path(name), store.runs() / name)
    for folder in (Path(name), *(place / kept for place in places for kept in (NAME, CELLS))):
        if (folder / CSV).exists():
            return folder.resolve()
    names = [path.parent.name for path in there]
    raise BadArguments(
        f"no table {name!r}; there is: {', '.join(names[-5:]) or 'none yet'}",
        hint="istio-lab table run",
    )


_DOES: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "show": _show,
    "predict": _predict,
    "surprises": _surprises,
    "why": _why,
    "diff": _diff,
}
