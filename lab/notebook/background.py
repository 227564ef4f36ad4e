"""What this machine can run, and a cluster that starts in the background while somebody reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from clusters import kind_of, open_cluster, wanted
from lab.common import scratch
from lab.common.errors import BadArguments, LabError
from lab.model import store
from lab.render.display import Table, Text

UP = "The cluster is up"
"""What `istio-lab up` says at its end."""


def log() -> Path:
    """Return the file into which its start is written."""
    return store.runs() / "cluster.log"


def this_machine() -> Table:
    """Return on which kinds of cluster the lab runs here, and why not on the others."""
    from clusters import examination

    rows = tuple(examination.clusters_here())
    return Table("", ("cluster", "runs on this machine"), rows)


def start_cluster(word: str = "auto") -> Text:
    """Start the cluster in the background, and return how far it is.

    It goes on when this process has ended. Where it is up, or starts already, nothing is done.
    """
    if not _why_none(word) and not open_cluster(word).running():
        _start(word)
    return cluster_progress(word)


def reset_cluster(word: str = "auto") -> Text:
    """Remove the cluster with all that is on it, and start a new one in the background.

    Raises BadArguments for a cluster that the lab did not make.
    """
    kind = kind_of(word)
    if not kind.made_by_lab and not kind.replayed:
        raise BadArguments(
            f"{wanted(word)} is not reset: the lab did not make it",
            hint="lesson.reset() makes a lesson as it was; closing a notebook removes what it made",
        )
    if not _why_none(word):
        open_cluster(word).down()
        scratch.sweep()
    return start_cluster(word)


def cluster_progress(word: str = "auto") -> Text:
    """Return whether the cluster is up, or how far its start is."""
    if why := _why_none(word):
        return Text((f"{why}: lessons show their recorded part.",))
    from lab.common import locks

    try:
        if open_cluster(word).running():
            return Text(("The cluster is up: a lesson that is opened now runs on it.",))
    except LabError as problem:
        return Text((str(problem),))
    with locks.tried(_lock()) as idle:
        told = log().read_text(errors="replace").strip() if log().exists() else ""
    last = told.splitlines()[-1].strip() if told else ""
    if not idle:
        return Text(("The cluster is starting:", last))
    if not told or UP in told:
        return Text(("The cluster is not started: lab.start_cluster(), or istio-lab up.",))
    return Text(("The cluster did not start:", last, f"All that was said: {log()}"))


def _why_none(word: str) -> str:
    """Return why no cluster can run here; empty where one can."""
    kind = kind_of(word)
    if kind.replayed:
        return "No cluster is asked for"
    from clusters import examination

    whether = dict(examination.clusters_here())[kind.written]
    return "" if whether.startswith("yes") else f"No cluster can run here ({whether})"


def _start(word: str) -> None:
    """Start the cluster in a process of its own, which holds the lock until it has ended."""
    from lab.common import locks

    lock = locks.taken(_lock())
    if lock is None:
        return  # it starts already
    try:
        with log().open("wb") as file:
            up = [sys.executable, "-m", "lab", "up", "--cluster", wanted(word)]
            subprocess.run(
                ["sh", "-c", '"$@" &', "sh", *up],  # the shell ends at once: nobody waits for it
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
            )
    finally:
        os.close(lock)


def _lock() -> Path:
    return log().with_suffix(".lock")
