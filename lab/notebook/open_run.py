"""Open a run: live on a cluster, or replayed from recorded evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.notebook.run import NotebookRun

if TYPE_CHECKING:
    pass


def open_run(name: str, cluster: str = "auto", **parameters: str) -> NotebookRun:
    """Start a run of a failure, on a live cluster or from what was recorded.

    cluster: `embedded`, `kind`, `context:NAME`, `recorded`, or `auto`: LAB_CLUSTER, else
    embedded where it can run, else recorded. Raises BadArguments for names and values that do
    not exist.
    """
    from lab import failures
    from lab.model.parameters import parameters_of

    failure = failures.load(name)
    values = parameters_of(failure, parameters)
    kind, why = choose(cluster)
    if kind == "recorded":
        from lab.judge.replay import RecordedRun

        return NotebookRun(RecordedRun(failure, values), why)
    from lab.notebook.live import JudgedLiveRun
    from lab.record.begin import begin

    return NotebookRun(JudgedLiveRun(begin(failure, kind, values)), why)


def choose(cluster: str) -> tuple[str, str]:
    """Which kind of cluster `cluster` means here, and why, in words."""
    import os

    if cluster != "auto":
        return cluster, f"as asked: cluster={cluster!r}"
    named: Any = os.environ.get("LAB_CLUSTER")
    if named and named != "auto":
        return named, f"LAB_CLUSTER={named}"
    from clusters import first_start

    if not first_start.cost("embedded"):
        return "embedded", "its binaries are built on this machine"
    return "recorded", "the embedded cluster's binaries are not built here yet: `make up` does it"
