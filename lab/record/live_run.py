"""One run of one failure on a live cluster: worlds, calls, remedies; all recorded.

    run = lab.open_run("tcp_mtls")
    run.before(); run.during(); run.after(); run.remedies()
    run.verdict()

Evidence is written after every step, so that nothing is lost when something breaks.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters import mesh
from lab.common import files
from lab.common.errors import ClusterGone, LabError, TimedOut
from lab.judge.case import Case
from lab.judge.verdict import Verdict, judge, to_json
from lab.model import evidence, preconditions
from lab.model.evidence import (
    CallRecord,
    CaptureRecord,
    Evidence,
    PodRecord,
    WorldRecord,
    config_name,
)
from lab.model.failure import Failure, Remedy
from lab.model.parameters import with_parameters
from lab.model.scenario import Call, Phase, Scope, Step
from lab.record import calls, kube_proxy, logs, readiness, world
from lab.record.captures import Captures
from lab.record.counters import Counters
from lab.record.mesh_lock import MeshLock
from lab.record.remedy_trial import Trial
from lab.record.world import LiveWorld

if TYPE_CHECKING:
    from clusters.base import Cluster

Progress = Callable[[str], None]
NOT_OURS = "it would change the whole mesh, which is not the lab's to change here"


class LiveRun:
    """A failure on a live cluster. Use it phase by phase; `close` removes its namespaces."""

    source = "live"

    def __init__(
        self,
        failure: Failure,
        cluster: Cluster,
        folder: Path,
        values: dict[str, str],
        progress: Progress,
    ) -> None:
        self.failure = with_parameters(failure, values)
        self.folder, self.parameters = folder, values
        self._cluster, self._tell = cluster, progress
        self._worlds: dict[str, LiveWorld] = {}
        self._pods: dict[str, dict[str, PodRecord]] = {}
        self._captures: dict[str, list[CaptureRecord]] = {}
        self._calls: list[CallRecord] = []
        self._problems: list[str] = []
        self._untried: dict[str, str] = {}
        self._skipped: dict[str, str] = {}
        self._uncaptured: dict[str, dict[str, str]] = {}
        self._mesh: dict[str, Any] = {}
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._trouble = ""
        self._status, self._stack = cluster.status(), cluster.stack
        self._lock = MeshLock(cluster.lock)

    @property
    def run_id(self) -> str:
        """The run's name; with the failure's it labels the namespaces."""
        return self.folder.parent.name.lower()

    def open(self) -> None:
        """Make every world, side by side, and wait until its policy is active.

        None is made on a mesh whose settings leave nothing to find out: the verdict names them.
        """
        self._lock.share()
        self._mesh = mesh.read(self._cluster.kube)
        unmet = preconditions.unmet(self.failure, self._mesh)
        if unmet:
            self._tell(f"nothing is deployed: {'; '.join(unmet)}")
            self._save()
            return
        self._each("deploying", self._deploy, [w.name for w in self.failure.worlds])
        self._save()

    def _deploy(self, name: str) -> None:
        declared = self.failure.world(name)
        live = world.deploy(self._cluster, declared, self.run_id, self.failure.name, self._mesh)
        self._worlds[name] = live
        readiness.wait_ready(self._cluster, live)
        if "several-nodes" in self._cluster.offers():
            made = (call for call in self.failure.all_calls.values() if call.world == name)
            self._problems += readiness.together(live, made)
        problem = readiness.wait_active(self._cluster, live)
        if problem:
            self._problems.append(problem)
        kube_proxy.wait(self._cluster, readiness.ways(live, self.failure.calls_in(name)))
        self._look_at_pods(live)
        for workload, view in live.views.items():
            self._keep_view(name, workload, view)
        self._tell(f"{name}: {live.namespace} is ready")

    def _look_at_pods(self, live: LiveWorld) -> None:
        """What the sidecars say of themselves; what they refused is counted from their start."""
        with ThreadPoolExecutor(len(live.pods)) as pool:
            records = pool.map(lambda pod: world.pod_record(self._cluster, pod), live.pods.values())
            self._pods[live.world.name] = dict(zip(live.pods, records, strict=True))

    def before(self) -> Sequence[CallRecord]:
        """Can the lab see at all: calls where nothing is secured."""
        return self._phase("before")

    def during(self) -> Sequence[CallRecord]:
        """The post's own world."""
        return self._phase("during")

    def after(self) -> Sequence[CallRecord]:
        """The world turned: what changes when one thing does."""
        return self._phase("after")

    def _phase(self, phase: Phase) -> Sequence[CallRecord]:
        names = [w.name for w in self.failure.worlds if w.phase == phase]
        made = len(self._calls)
        self._each(phase, self._calls_in, names)
        self._save()
        return self._calls[made:]

    def remedies(self) -> Sequence[CallRecord]:
        """Each remedy tried on what fails, and taken back; those of the whole mesh alone and last.

        Other runs on the cluster are waited for before the mesh is changed, and wait until
        the change is withdrawn.
        """
        made = len(self._calls)
        self._try("namespace", "remedies")
        self._save()
        self._lock.release()
        self._try_on_mesh()
        self._save()
        return self._calls[made:]

    def _try_on_mesh(self) -> None:
        wanted = [remedy.name for remedy in self.failure.remedies if remedy.scope == "mesh"]
        if wanted and "mesh-scope" not in self._cluster.offers():
            self._skipped.update(dict.fromkeys(wanted, NOT_OURS))
        if not wanted or self._skipped:
            return
        try:
            self._tell("waiting for the mesh to be ours alone")
            with self._lock.alone():
                self._try("mesh", "mesh")
        except TimedOut as busy:
            self._untried.update(dict.fromkeys(wanted, str(busy)))

    def _try(self, scope: Scope, act: str) -> None:
        tried = [remedy for remedy in self.failure.remedies if remedy.scope == scope]
        names = list(dict.fromkeys(remedy.call.world for remedy in tried))
        if names:
            self._each(act, lambda name: self._try_in(name, act, tried), names)

    def _try_in(self, name: str, act: str, tried: Sequence[Remedy]) -> None:
        """A world's remedies at once: each has a Service of its own, so that none helps another."""
        live = self._worlds.get(name)
        if live is None or name not in self._pods:
            return
        ours = [remedy for remedy in tried if remedy.call.world == name]
        trial = Trial(self._cluster, live, ours)
        with self._recorded(live, act) as counters:
            self._step(live, counters, act, "broken", ours, 0.0)
            try:
                self._untried.update(trial.apply())
                counters.forget()
                self._keep_views(live, act, "changed", trial)
                self._step(live, counters, act, "changed", ours, trial.since)
            finally:
                self._untried.update(trial.withdraw())
                counters.forget()
            self._keep_views(live, act, "restored", trial)
            self._step(live, counters, act, "restored", ours, trial.since)
        self._look_at_pods(live)

    def _step(
        self,
        live: LiveWorld,
        counters: Counters,
        act: str,
        step: Step,
        tried: Sequence[Remedy],
        since: float,
    ) -> None:
        for remedy in tried:
            if remedy.name not in self._untried:
                self._call(remedy.call_of(step), live, counters, act, since)

    def _keep_views(self, live: LiveWorld, act: str, step: Step, trial: Trial) -> None:
        for workload, view in trial.views.items():
            self._keep_view(live.world.name, workload, view, act, step)

    def _keep_view(
        self, name: str, workload: str, view: dict[str, Any], act: str = "", step: str = ""
    ) -> None:
        path = self.folder / "config" / config_name(name, workload, act, step)
        files.write_text(path, json.dumps(view, indent=1, sort_keys=True) + "\n")

    def _calls_in(self, name: str) -> None:
        """A world's calls, one after the other, with all its interfaces recorded."""
        live = self._worlds.get(name)
        if live is None or name not in self._pods:
            return  # it did not come up: `problems` says why, and the verdict will
        with self._recorded(live) as counters:
            for call in self.failure.calls_in(name):
                self._call(call, live, counters)
        self._secrets[name] = world.secrets(self._cluster, live.namespace)

    def _call(
        self, call: Call, live: LiveWorld, counters: Counters, act: str = "", since: float = 0.0
    ) -> None:
        record = calls.make(call, self._cluster, live, counters, act, since)
        self._calls.append(record)
        step = f" {call.step}" if call.step else ""
        came = f"{record.outcome} {record.status or ''}".strip()
        self._tell(f"{live.world.name}{step}: {record.lost or came}  <-  $ {record.typed}")

    @contextmanager
    def _recorded(self, live: LiveWorld, act: str = "") -> Iterator[Counters]:
        """Packets of all interfaces and the proxies' counters meanwhile; the logs afterwards."""
        captures = Captures(self._cluster, live, self.folder / "captures", act)
        captures.start()
        self._keep_refusals(live.world.name, captures.refused)
        try:
            yield Counters(self._cluster, live)
        finally:
            captures.stop()
            self._captures.setdefault(live.world.name, []).extend(captures.records)
            self._problems += captures.problems
            self._problems += logs.keep(self._cluster, live, self.folder / "logs")

    def _keep_refusals(self, name: str, refused: dict[str, str]) -> None:
        """Whose packets may not be recorded; each reason is told once in a world."""
        known = self._uncaptured.setdefault(name, {})
        for why in sorted({*refused.values()} - {*known.values()}):
            self._tell(f"{name}: the wire is unknown: {why}")
        known.update(refused)

    def _each(self, what: str, work: Callable[[str], None], names: list[str]) -> None:
        """Do something in several worlds at once; a world that fails is a recorded problem.

        Where the cluster itself has failed, nothing more is tried on it.
        """
        if self._trouble:
            return
        self._tell(f"{what}: {', '.join(names)}")
        problems = []
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            for name, future in [(name, pool.submit(work, name)) for name in names]:
                try:
                    future.result()
                except LabError as problem:
                    problems.append(f"{name}: {problem}")
        self._trouble = self._cluster.trouble()
        if not self._trouble:
            problems += self._restarts(names)
        # Where the cluster itself failed, that is the one thing to tell.
        for line in [f"STOPPED: {self._trouble}"] if self._trouble else problems:
            self._tell(line)
        self._problems += problems

    def _restarts(self, names: Sequence[str]) -> list[str]:
        """Containers of these worlds that ended since their pods were ready: a problem each."""
        try:
            return [
                f"{name}: {ended}"
                for name in names
                if name in self._pods
                for ended in readiness.restarted(self._cluster, self._worlds[name])
            ]
        except ClusterGone as lost:
            return [str(lost)]

    @property
    def evidence(self) -> Evidence:
        """What is recorded so far."""
        return Evidence(
            failure=self.failure.name,
            run=self.folder.parent.name,
            recorded_at=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            cluster=self._cluster.kind,
            stack=evidence.with_proxies(
                dataclasses.asdict(self._stack),
                (pod for pods in self._pods.values() for pod in pods.values()),
            ),
            parameters=self.parameters,
            started={name: float(at) for name, at in self._status.details.items()},
            worlds={name: self._world_record(live) for name, live in self._worlds.items()},
            calls=tuple(sorted(self._calls, key=lambda call: call.started - call.clock)),
            problems=tuple(self._problems),
            untried=dict(self._untried),
            trouble=self._trouble,
            skipped=dict(self._skipped),
            mesh=self._mesh,
        )

    def _world_record(self, live: LiveWorld) -> WorldRecord:
        name = live.world.name
        return WorldRecord(
            name=name,
            namespace=live.namespace,
            mtls=live.world.mtls,
            rule=live.world.rule,
            pods=dict(self._pods.get(name, {})),
            services=dict(live.services),
            captures=tuple(self._captures.get(name, ())),
            secrets=self._secrets.get(name, ()),
            uncaptured=dict(self._uncaptured.get(name, {})),
        )

    def _save(self) -> None:
        evidence.save(self.evidence, self.folder)

    @property
    def case(self) -> Case:
        """What is recorded so far, opened for checks."""
        return Case(self.failure, self.evidence, self.folder)

    def judge(self) -> Verdict:
        """Judge what is on disk, and keep the verdict beside it."""
        if not (self.folder / "verdict.json").exists():
            self._tell("judging what was recorded")
        self._lock.release()
        self._save()
        verdict = judge(Case.open(self.failure, self.folder))
        files.write_json(self.folder / "verdict.json", to_json(verdict))
        return verdict

    def close(self) -> None:
        """Remove this run's namespaces; those of a cluster that is gone are gone."""
        self._lock.release()
        with suppress(ClusterGone):
            world.remove(self._cluster, self.run_id)
