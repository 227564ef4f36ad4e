"""One run: a cluster, the failures' notebooks side by side, then verdicts, table and exit code."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab.commands import finish
from lab.commands.plan import Plan, own_environment
from lab.common import signals
from lab.common.errors import ClusterGone
from lab.common.redaction import redact
from lab.model import store
from lab.notebook import processes
from lab.notebook.order import longest_calls_first
from lab.notebook.room import Room
from lab.record import istioctl, mesh_lock, world
from lab.report import draftsman
from lab.truth_table import pinned
from lab.truth_table import verdict as cells

if TYPE_CHECKING:
    from clusters.base import OwnCluster
    from lab.report.draftsman import Draftsman


Afterwards = Callable[["OwnCluster", Path], None]
"""Called with the cluster while it is still up, and the run's folder."""


def run_plan(wanted: Plan, afterwards: Afterwards | None = None) -> tuple[Path, int]:
    """Run a plan; return the run's folder and its exit code (see lab.render.wording.EXPLAINED).

    afterwards: called when the notebooks have ended. What ends the run early is raised, after
    the table that names it is printed; what was recorded until then is kept.
    """
    began = time.monotonic()
    _check(wanted)
    folder = store.new_run()
    say = _Log(folder / "run.log", began)
    say(f"run {folder.name}: {', '.join(wanted.names)} on {wanted.title}")
    if wanted.left_out:
        say(f"left out: {wanted.left_out}")
    stopped: BaseException | None = None
    with draftsman.started(folder) as drawing:
        try:
            with own_environment(wanted.stack), _cluster(wanted, folder, say) as cluster:
                with _namespaces(wanted, folder, cluster, say):
                    _notebooks(wanted, folder, cluster, say, drawing)
                if cluster and afterwards:
                    say("recording each sidecar's pod and configuration")
                    afterwards(cluster, folder)
        except BaseException as why:
            stopped = why
            raise
        finally:
            with signals.held(last=True):
                seconds = time.monotonic() - began
                code = finish.finish(wanted, folder, seconds, stopped, drawing)
    return folder, code


def _check(wanted: Plan) -> None:
    """Examine a cluster that the lab did not make. Raises NeedsUnmet before anything is begun."""
    from clusters import kind_of, open_cluster

    if not (kind_of(wanted.cluster).made_by_lab or wanted.replayed):
        open_cluster(wanted.cluster).up(lambda step: print(step, flush=True))


class _Log:
    """Prints a line, with the seconds since the run began, and adds it to run.log."""

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
    """Yield the standing cluster, which is left as it is, else a new one that ends with the run.

    Nothing is started here: the notebooks' kernels start while the cluster comes up, and wait for
    it by its name. None is yielded where evidence is replayed.
    """
    from clusters import KINDS, open_cluster

    if wanted.replayed:
        yield None
        return
    standing = open_cluster(wanted.cluster)
    standing.sweep()
    told = standing.trouble()
    if told:
        say(f"the cluster {standing.name} cannot be used: {told}")
        if wanted.keep:
            standing.down()  # one of the same name takes its place
    elif not KINDS[standing.kind].made_by_lab or (standing.running() and standing.fits()):
        say(f"using the cluster {standing.name}, which is up: {standing.stack}")
        os.environ["LAB_CLUSTER_NAME"] = standing.name
        with mesh_lock.marked(
            standing.lock, _label(folder), lambda run: world.remove(standing, run)
        ):
            yield standing
        return
    elif standing.running():
        say(f"not using the cluster {standing.name}: its stack or nodes differ ({standing.stack})")
    own = standing if wanted.keep else open_cluster(wanted.cluster, f"run-{os.getpid()}")
    os.environ["LAB_CLUSTER_NAME"] = own.name
    try:
        yield own
    finally:
        if not wanted.keep:
            say("stopping the cluster")
            with signals.held():
                own.down()


@contextmanager
def _namespaces(
    wanted: Plan, folder: Path, cluster: OwnCluster | None, say: _Log
) -> Iterator[None]:
    """Remove the run's namespaces afterwards, however it ends, where there is still a cluster."""
    try:
        yield
    finally:
        if cluster and not wanted.keep and cluster.running():
            say("removing the run's namespaces")
            with signals.held(), suppress(ClusterGone):
                world.remove(cluster, _label(folder))


def _label(folder: Path) -> str:
    """Return the run's name as the label of its namespaces has it."""
    return folder.name.lower()


def _notebooks(
    wanted: Plan, folder: Path, cluster: OwnCluster | None, say: _Log, drawing: Draftsman
) -> None:
    """Run notebooks side by side, as many as there is room for, while the cluster comes up.

    They start when everything is built: building can take longer than a cell may run.
    """
    up = not cluster or (cluster.running() and cluster.fits())
    if cluster and not up:
        cluster.prepare(lambda step: say(f"cluster: {step}"))
    os.environ["LAB_CLUSTER"] = wanted.cluster
    os.environ["LAB_RUN"] = str(folder)
    if wanted.istioctl and cluster:
        os.environ |= istioctl.variables(cluster, lambda step: say(f"istioctl: {step}"))
    room = _room(wanted, folder, cluster, say)
    names = longest_calls_first(_pods(wanted))
    notebooks = processes.started(names, folder, wanted.values, room, say, drawing.draw)
    with notebooks as running:
        if cluster and not up:
            cluster.up(lambda step: say(f"cluster: {step}"), owned=not wanted.keep)
        running.follow()


def _room(wanted: Plan, folder: Path, cluster: OwnCluster | None, say: _Log) -> Room:
    """Return which failures run at a time: as many as this machine, or PODS=, has room for."""
    pods = _pods(wanted)
    if cluster is None:
        return Room(pods, None, lambda _name: True)
    fit = wanted.pods or cluster.room()
    for name, number in pods.items():
        if fit is not None and number > fit:
            say(f"{name} has {number} pods, {fit} fit: istio-lab doctor shows what limits them")
    return Room(pods, fit, lambda name: world.freed(cluster, _label(folder), name))


def _pods(wanted: Plan) -> dict[str, int]:
    """Return how many pods each of the run's notebooks needs."""
    pods = {one.name: sum(place.pods for place in one.worlds) for one in wanted.failures}
    return pods | ({cells.NAME: pinned.pods()} if wanted.cells else {})
