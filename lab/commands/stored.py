"""How commands find a stored run, and the failures that it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import failures
from lab.bundle import unpack
from lab.common import untrusted
from lab.common.errors import BadArguments
from lab.judge import stored
from lab.judge.verdict import Verdict
from lab.model import store
from lab.model.failure import Failure
from lab.truth_table import verdict as cells


@contextmanager
def opened(word: str) -> Iterator[Path]:
    """Yield the folder of a run, of a bundle, or of what is committed while it is open."""
    if word == "recorded":
        yield store.RECORDED
        return
    with unpack.opened(word) as place:
        yield place


def folder(word: str) -> Path:
    """Return where a run's evidence is. word: as typed; `recorded` is what is committed."""
    return store.RECORDED if word == "recorded" else store.find(word)


def judged(run: Path, only: str | None) -> tuple[list[Verdict], dict[str, str]]:
    """Judge a stored run; return its verdicts, and why others are missing.

    only: a failure, or the truth table's cells; None: all that the run has.
    """
    if only == cells.NAME and cells.is_in(run):
        return cells.of_run(run)
    verdicts, missing = stored.judge_all(failures_in(run, only), run)
    if run == store.RECORDED and not only:
        return [*verdicts, cells.judge(cells.recorded())], missing
    if only or not cells.is_in(run):
        return verdicts, missing
    of_cells, without = cells.of_run(run)
    return [*verdicts, *of_cells], missing | without


def failures_in(run: Path, only: str | None) -> list[Failure]:
    """Return the failures that a stored run has evidence of.

    only: the one that is wanted. Raises BadArguments where the run does not have it.
    """
    there = [name for name in failures.names() if untrusted.is_there(run / name)]
    if only and only not in there:
        raise BadArguments(f"run {run.name} has no {only!r}; it has {', '.join(there)}")
    return [failures.load(name) for name in ([only] if only else there)]
