"""Open a run: live on a cluster, or replayed from recorded evidence."""

from __future__ import annotations

import os

from lab.notebook.run import NotebookRun


def open_run(name: str, cluster: str = "auto", **parameters: str) -> NotebookRun:
    """Start a run of a failure on a cluster, or open its recorded one.

    cluster: `embedded`, `kind`, `context:NAME`, `recorded`, or `auto`: LAB_CLUSTER, else
    embedded where it can run, else recorded. Raises BadArguments for names and values that do
    not exist.
    """
    from clusters import kind_of
    from lab import failures
    from lab.model.parameters import parameters_of

    failure = failures.load(name)
    values = parameters_of(failure, parameters)
    word, why = choose(cluster)
    if kind_of(word).replayed:
        from lab.judge.replay import RecordedRun

        return NotebookRun(RecordedRun(failure, values), why)
    from lab.notebook.live import JudgedLiveRun
    from lab.record.begin import begin

    return NotebookRun(JudgedLiveRun(begin(failure, word, values)), why)


def choose(cluster: str) -> tuple[str, str]:
    """Return which cluster `cluster` means here, and why, in words."""
    if cluster != "auto":
        return cluster, f"as asked: cluster={cluster!r}"
    named = os.environ.get("LAB_CLUSTER")
    if named and named != "auto":
        return named, f"LAB_CLUSTER={named}"
    from clusters import DEFAULT, REPLAY, first_start

    if not first_start.cost(DEFAULT):
        return DEFAULT, "its binaries are built on this machine"
    missing = f"the {DEFAULT} cluster's binaries are not built here yet"
    return REPLAY, f"{missing}; `istio-lab up` builds them"
