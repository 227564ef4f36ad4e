"""`lab run`: a cluster, each failure's notebook side by side, then verdicts, table and codes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab.commands import finish
from lab.commands.plan import Plan, _own_environment
from lab.common import signals
from lab.common.errors import ClusterGone
from lab.common.redaction import redact
from lab.model import store
from lab.notebook import processes
from lab.record import mesh_lock, world

if TYPE_CHECKING:
    from clusters.base import OwnCluster


Afterwards = Callable[["OwnCluster", Path], None]
"""Called with the cluster while it is still up, and the run's folder."""


def run(wanted: Plan, afterwards: Afterwards | None = None) -> tuple[Path, int]:
    """Run it; returns its folder and the exit code (0, 1, 3: see lab.render.wording.EXPLAINED).

    What ends it before its time is raised, and told in its table: what was recorded is kept.
    """
    began = time.monotonic()
    _check(wanted)
    folder = store.new_run()
    say = _Log(folder / "run.log", began)
    say(f"run {folder.name}: {', '.join(f.name for f in wanted.failures)} on {wanted.title}")
    stopped: BaseException | None = None
    try:
        with _own_environment(wanted.stack), _cluster(wanted, folder, say) as cluster:
            with _namespaces(wanted, folder, cluster, say):
                _notebooks(wanted, folder, cluster, say)
            if cluster and afterwards:
                say("recording what each sidecar is made of")
                afterwards(cluster, folder)
    except BaseException as why:
        stopped = why
        raise
    finally:
        with signals.held(last=True):
            code = finish.finish(wanted, folder, time.monotonic() - began, stopped)
    return folder, code


def _check(wanted: Plan) -> None:
    """What an existing cluster lacks is said before anything is begun."""
    from clusters import CONTEXT, open_cluster

    if wanted.cluster.startswith(CONTEXT):
        open_cluster(wanted.cluster).up(lambda step: print(step, flush=True))


class _Log:
    """A line to the terminal and to run.log."""

    def __init__(self, path: Path, began: float) -> None:
        self._path, self._began = path, began

    def __call__(self, line: str) -> None:
        stamped = f"{time.monotonic() - self._began:6.1f} s  {redact(line)}"
        room = shutil.get_terminal_size((100, 24)).columns
        print(stamped if len(stamped) <= room else f"{stamped[: room - 3]}...", flush=True)
        with suppress(OSError), self._path.open("a") as file:  # a full disk is told at the end
            file.write(stamped + "\n")


@contextmanager
def _cluster(wanted: Plan, folder: Path, say: _Log) -> Iterator[OwnCluster | None]:
    """The standing cluster, left as it is; else one of this run's own, ended afterwards.

    The notebooks' kernels start meanwhile: they wait for the cluster by its name.
    """
    if wanted.cluster == "recorded":
        yield None
        return
    from clusters import open_cluster

    standing = open_cluster(wanted.cluster)
    standing.sweep()
    told = standing.trouble()
    if told:
        say(f"the cluster that was up ({standing.name}) is of no use: {told}")
        if wanted.keep:
            standing.down()  # one of the same name takes its place
    elif standing.kind == "existing" or (standing.running() and standing.fits()):
        say(f"using the cluster that is up ({standing.name}: {standing.stack})")
        os.environ["LAB_CLUSTER_NAME"] = standing.name
        with mesh_lock.marked(
            standing.lock, _label(folder), lambda run: world.remove(standing, run)
        ):
            yield standing
        return
    elif standing.running():
        say(f"the cluster that is up is not what is asked for ({standing.name}: {standing.stack})")
    own = standing if wanted.keep else open_cluster(wanted.cluster, f"run-{os.getpid()}")
    os.environ["LAB_CLUSTER_NAME"] = own.name
    try:
        yield own
    finally:
        if not wanted.keep:
            say("ending the cluster")
            with signals.held():
                own.down()


@contextmanager
def _namespaces(
    wanted: Plan, folder: Path, cluster: OwnCluster | None, say: _Log
) -> Iterator[None]:
    """Removes those of this run afterwards, however it ends, where there is still a cluster."""
    try:
        yield
    finally:
        if cluster and not wanted.keep and cluster.running():
            say("removing the run's namespaces")
            with signals.held(), suppress(ClusterGone):
                world.remove(cluster, _label(folder))


def _label(folder: Path) -> str:
    """The run's name as its namespaces carry it."""
    return folder.name.lower()


def _notebooks(wanted: Plan, folder: Path, cluster: OwnCluster | None, say: _Log) -> None:
    """All notebooks side by side, while the cluster comes up that they wait for.

    They start when all is built, which can take longer than a cell may.
    """
    up = not cluster or (cluster.running() and cluster.fits())
    if cluster and not up:
        cluster.prepare(lambda step: say(f"cluster: {step}"))
    os.environ["LAB_CLUSTER"] = wanted.cluster
    os.environ["LAB_RUN"] = str(folder)
    names = [failure.name for failure in wanted.failures]
    with processes.started(names, folder, wanted.values) as notebooks:
        if cluster and not up:
            cluster.up(lambda step: say(f"cluster: {step}"), owned=not wanted.keep)
        processes.follow(notebooks, folder, say)
