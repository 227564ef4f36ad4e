"""A cluster that starts in the background, while somebody reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from clusters import kind_of, open_cluster, wanted
from lab.common.errors import LabError
from lab.model import store
from lab.render.display import Text


def log() -> Path:
    """Return the file into which its start is written."""
    return store.runs() / "cluster.log"


def start(word: str = "auto") -> None:
    """Start the cluster that `--cluster` names, and return at once; its start is written to `log`.

    It goes on when this process has ended. Where it is up, or is none that runs, nothing is done.
    """
    if kind_of(word).replayed or open_cluster(word).running():
        return
    log().parent.mkdir(parents=True, exist_ok=True)
    with log().open("wb") as file:
        subprocess.Popen(
            [sys.executable, "-m", "lab", "up", "--cluster", wanted(word)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def cluster_progress(word: str = "auto") -> Text:
    """Return whether the cluster is up, or how far its start is."""
    if kind_of(word).replayed:
        return Text(("No cluster runs here: lessons show their recorded part.",))
    try:
        cluster = open_cluster(word)
        if cluster.running():
            return Text(("The cluster is up: a lesson that is opened now runs on it.",))
    except LabError as problem:
        return Text((str(problem),))
    told = log().read_text(errors="replace").strip() if log().exists() else ""
    if not told:
        return Text(("The cluster is not started. In a terminal: istio-lab up",))
    return Text(("The cluster is starting:", told.splitlines()[-1].strip()))
