"""Keeps a run's table: as the recorded one, or as one more stack on which its answers hold."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from lab.common import files
from lab.common.errors import BadArguments
from lab.model.pins import Stack, minor
from lab.truth_table import compare, kept_mesh, pinned, plan, results, verdict
from lab.truth_table.pinned import Measured
from lab.truth_table.recorded import of_run
from lab.truth_table.verdict import Table


def keep(folder: Path) -> str:
    """Keep the table in a run's folder; return what was done, in a sentence.

    A whole table takes the place of the recorded one, and what is known of other stacks goes with
    that. Of the core alone its mesh is kept, and of the pinned cells alone their stack: raises
    BadArguments with cells that are otherwise. Raises BadEvidence where the recordings are
    damaged.
    """
    table = verdict.stored(folder)
    stack = Stack(table.cluster, minor(table.stack["istio"]), (table.stack["envoy"],))
    if table.rows.keys() == {cell.key for cell in plan.cells()}:
        for name in (results.CSV, compare.ABOUT):
            files.write_bytes(pinned.RECORDED / name, (folder / name).read_bytes())
        about = (table.run, table.recorded_at, table.cluster, table.stack)
        _write(Measured(*about, (stack,)))
        return f"the recorded table is that of {table.run}; its pins speak of {stack}"
    if table.rows.keys() == {cell.key for cell in plan.core()}:
        if other := results.differing([table.rows, results.load(pinned.RECORDED)]):
            raise BadArguments(f"these cells are not as recorded: {', '.join(sorted(other)[:6])}")
        (recorded,) = of_run(folder)
        kept_mesh.keep(recorded)
        return f"the mesh of {table.run} is kept: calls of the core are walked by it"
    refuse_other(table)
    known = pinned.measured()
    if stack in known.stacks or known.covers(table.stack, table.cluster):
        return f"the recorded table's pins speak of {stack} already"
    _write(replace(known, stacks=(*known.stacks, stack)))
    return f"the recorded table's pins speak of {stack} too"


def refuse_other(table: Table) -> None:
    """Raise BadArguments where a pinned cell is not as recorded, whatever the stack."""
    other = verdict.otherwise(table)
    if other:
        raise BadArguments(
            f"{len(other)} cells of run {table.run} are not as recorded: {', '.join(other[:6])}",
            hint="istio-lab table diff RUN recorded; or record a whole table of this stack",
        )


def _write(known: Measured) -> None:
    files.write_json(pinned.MEASURED, asdict(known))
