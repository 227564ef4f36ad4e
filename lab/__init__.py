"""The Istio failure lab: reproduce what the post documents, and prove it on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.lessons.notebook import NotebookLesson
    from lab.mtls_cost.notebook import Cost
    from lab.notebook.run import NotebookRun
    from lab.render.display import Table, Text
    from lab.truth_table.live import PinnedCells
    from lab.truth_table.notebook import NotebookTable
    from lab.truth_table.one_call import OneCall

__all__ = [
    "cluster_progress",
    "lessons_so_far",
    "lessons_to_skip",
    "open_call",
    "open_cells",
    "open_cost",
    "open_lesson",
    "open_run",
    "open_table",
    "reset_cluster",
    "start_cluster",
    "this_machine",
]


def open_run(name: str, cluster: str = "auto", **parameters: str) -> NotebookRun:
    """Start a run of a failure; see `lab.notebook.open_run`."""
    from lab.notebook import open_run as opened

    return opened.open_run(name, cluster, **parameters)


def open_table(run: str = "recorded") -> NotebookTable:
    """Return a stored truth table; see `lab.truth_table.notebook`."""
    from lab.truth_table import notebook as opened

    return opened.open_table(run)


def open_cells(cluster: str = "auto") -> PinnedCells:
    """Measure the pinned cells of the truth table, or open the recorded ones.

    See `lab.truth_table.live`.
    """
    from lab.truth_table import live

    return live.open_cells(cluster)


def open_call() -> OneCall:
    """Return the explorer of single calls; see `lab.truth_table.one_call`."""
    from lab.truth_table import one_call

    return one_call.open_call()


def open_cost() -> Cost:
    """Return the recorded measurements of what mTLS costs; see `lab.mtls_cost.notebook`."""
    from lab.mtls_cost import notebook

    return notebook.open_cost()


def open_lesson(name: str, cluster: str = "auto") -> NotebookLesson:
    """Open a lesson; see `lab.lessons.notebook`."""
    from lab.lessons import notebook

    return notebook.open_lesson(name, cluster)


def lessons_so_far() -> Table:
    """Return what was predicted in each lesson and what was true; see `lab.lessons.summary`."""
    from lab.lessons import summary

    return summary.table()


def lessons_to_skip(**diagnoses: str) -> Table | Text:
    """Ask for a diagnosis of each lesson's report, or score them; see `lab.lessons.placement`."""
    from lab.lessons import placement

    return placement.lessons_to_skip(**diagnoses)


def this_machine() -> Table:
    """Return on which kinds of cluster the lab runs here; see `lab.notebook.background`."""
    from lab.notebook import background

    return background.this_machine()


def start_cluster(cluster: str = "auto") -> Text:
    """Start a cluster in the background; see `lab.notebook.background`."""
    from lab.notebook import background

    return background.start_cluster(cluster)


def cluster_progress(cluster: str = "auto") -> Text:
    """Return whether the cluster is up, or how far its start is."""
    from lab.notebook import background

    return background.cluster_progress(cluster)


def reset_cluster(cluster: str = "auto") -> Text:
    """Remove the cluster and start a new one; see `lab.notebook.background`."""
    from lab.notebook import background

    return background.reset_cluster(cluster)
