"""The same failures on several clusters or stacks, and the comparison of what they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clusters import made_by_lab
from lab import failures, fidelity
from lab.commands.plan import Plan
from lab.commands.run_plan import run_plan
from lab.common import files
from lab.common.errors import BadArguments, BadEvidence, LabError
from lab.common.text import printable
from lab.judge import stored
from lab.model import store
from lab.render import comparison, comparison_figure, comparison_text

if TYPE_CHECKING:
    from clusters.base import OwnCluster


def run_several(plans: Sequence[Plan], width: int) -> int:
    """Run one plan after the other, then compare each with the first.

    Returns the worst code: of the runs, and, between kinds of cluster, of the comparisons of
    verdicts and of sidecars. A difference between stacks is shown and does not change the code:
    each stack has its own pins. Raises BadArguments for a cluster of one stack that is named
    twice, and for one that the lab did not make: its nodes cannot be looked at.
    """
    names = [plan.title for plan in plans]
    if len(set(names)) < len(names) or any(plan.cluster not in made_by_lab() for plan in plans):
        raise BadArguments(
            f"cannot run side by side: {'; '.join(names)}. Name several of "
            f"{', '.join(made_by_lab())}, or several stacks, each named once",
            hint="istio-lab compare latest recorded, or another stored run",
        )
    several_kinds = len({plan.cluster for plan in plans}) > 1
    done = [run_plan(plan, record if several_kinds else None) for plan in plans]
    codes = [code for _, code in done]
    for plan, (other, _) in list(zip(plans, done, strict=True))[1:]:
        codes += _beside(plans[0], done[0][0], plan, other, width)
    _show_page([folder for folder, _ in done])
    code = stored.worst(codes)
    print(f"\nExit code {code}")
    return code


def _show_page(folders: Sequence[Path]) -> None:
    """Write the runs on one page, and print its path, or why it could not be written."""
    from lab.report import page

    written, why = page.last_words(folders)
    told = store.from_here(written) if written else f"not written: {printable(why)}"
    print(f"\nSide by side: {told}")


def _beside(one: Plan, left: Path, other: Plan, right: Path, width: int) -> list[int]:
    """Show two runs side by side; return the codes of what has to be equal in both."""
    print(f"\n{one.title} (left) and {other.title} (right)\n")
    code = compare_runs(left, right, right, width)
    if one.stack != other.stack:
        return []
    return [code, sidecars(left, right, (one.cluster, other.cluster), width)]


def record(cluster: OwnCluster, folder: Path) -> None:
    """Record the sidecars of a cluster. If it dies now, only their comparison is lost."""
    try:
        fidelity.record(cluster, folder)
    except LabError as problem:
        print(f"the sidecars are not recorded: {problem}")


def sidecars(left: Path, right: Path, names: tuple[str, str], width: int) -> int:
    """Print how alike two clusters made the same sidecars; return 0, 1, or 3 without a record."""
    try:
        found = fidelity.compare(left, right, names)
    except BadEvidence as problem:
        print(f"\nThe sidecars cannot be compared: {problem}")
        return 3
    told = fidelity.text(found, width)
    files.write_text(right / fidelity.FOLDER / "compared.txt", told + "\n")
    print("\n" + told)
    return found.exit_code


def compare_runs(left: Path, right: Path, beside: Path, width: int) -> int:
    """Print where two stored runs agree and differ; return 0, 1 or 3.

    beside: the folder that the figure is written into.
    """
    compared = comparison.compare(_judged(left), _judged(right))
    print(printable(comparison_text.text(compared, width)))
    try:
        print(f"\nFigure: {store.from_here(comparison_figure.write(compared, beside))}")
    except OSError as problem:  # a run that was put away for reading only
        print(f"\nFigure: not written: {problem}")
    print(comparison_text.last_words(compared, width))
    return compared.exit_code


def _judged(place: Path) -> comparison.Run:
    """Return a run with its verdicts as they are judged now."""
    there = [failures.load(name) for name in failures.names() if (place / name).is_dir()]
    verdicts, missing = stored.judge_all(there, place)
    name = "recorded" if place == store.RECORDED else place.name
    return comparison.Run(name, tuple(verdicts), missing)
