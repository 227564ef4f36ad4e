"""One run of one failure on a live cluster: worlds, calls and remedies, all recorded.

    run = LiveRun(failure, cluster, folder, values, tell)
    run.open(); run.before(); run.during(); run.after(); run.remedies()
    run.finish()

Evidence is written after every step, so that nothing is lost when a later step breaks. Nothing is
concluded here: `lab.notebook.live` judges what was written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clusters import mesh
from lab.common.errors import ClusterGone, LabError, TimedOut
from lab.model import evidence, preconditions
from lab.model.evidence import CallRecord, Evidence, config_name
from lab.model.failure import Failure, Remedy
from lab.model.parameters import with_parameters
from lab.model.scenario import Call, Phase, Scope, Step
from lab.record import calls, istioctl, kube_proxy, logs, readiness, turn, world
from lab.record.captures import Captures
from lab.record.configuration import Configuration
from lab.record.counters import Counters
from lab.record.dumps import Dumps
from lab.record.mesh_lock import MeshLock
from lab.record.remedy_trial import Trial
from lab.record.run_record import RunRecord
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
        self._cluster, self.tell = cluster, progress
        self._worlds: dict[str, LiveWorld] = {}
        self.record = RunRecord(
            failure=self.failure.name,
            run=folder.parent.name,
            cluster=cluster.kind,
            stack=dataclasses.asdict(cluster.stack),
            parameters=values,
            started={name: float(at) for name, at in cluster.status().details.items()},
        )
        self._dumps = Dumps(folder, self.record.configurations)
        self._lock = MeshLock(cluster.lock)

    @property
    def run_id(self) -> str:
        """The run's name; with the failure's name it labels the namespaces."""
        return self.folder.parent.name.lower()

    def open(self) -> None:
        """Deploy every world, side by side, and wait until its policy is active.

        Nothing is deployed on a mesh whose settings leave nothing to find out: the verdict names
        them.
        """
        self._lock.share()
        self.record.mesh = mesh.read(self._cluster.kube)
        unmet = preconditions.unmet(self.failure, self.record.mesh)
        if unmet:
            self.tell(f"nothing is deployed: {'; '.join(unmet)}")
            self._save()
            return
        self._in_each_world("deploying", self._deploy, [w.name for w in self.failure.worlds])
        self._save()

    def _deploy(self, name: str) -> None:
        declared, kept = self.failure.world(name), self.record
        live = world.deploy(self._cluster, declared, self.run_id, self.failure.name, kept.mesh)
        self._worlds[name] = live
        made = [call for call in self.failure.all_calls.values() if call.world == name]
        live.called_ports = {call.asked[2] for call in made if call.to_address}
        readiness.wait_ready(self._cluster, live)
        if "several-nodes" in self._cluster.offers():
            kept.problems += readiness.on_one_node(live, made)
        problem = readiness.wait_active(self._cluster, live)
        if problem:
            kept.problems.append(problem)
        calls, passes = self.failure.calls_in(name), self.failure.passthrough
        routes = readiness.service_routes(live, calls, passthrough=passes)
        kube_proxy.wait(self._cluster, routes)
        self._record_pods(live)
        self._keep_configurations(name, live.configurations)
        self.tell(f"{name}: {live.namespace} is ready")

    def _record_pods(self, live: LiveWorld) -> None:
        """Record what each sidecar says of itself; refused updates are counted from its start."""
        with ThreadPoolExecutor(len(live.pods)) as pool:
            records = pool.map(lambda pod: world.pod_record(self._cluster, pod), live.pods.values())
            self.record.pods[live.world.name] = dict(zip(live.pods, records, strict=True))

    def before(self) -> Sequence[CallRecord]:
        """Make the calls of the worlds in which nothing is secured: can the lab see at all."""
        return self._make_phase("before")

    def during(self) -> Sequence[CallRecord]:
        """Make the calls of the post's own world."""
        return self._make_phase("during")

    def after(self) -> Sequence[CallRecord]:
        """Make the calls of the worlds in which one thing is changed."""
        return self._make_phase("after")

    def _make_phase(self, phase: Phase) -> Sequence[CallRecord]:
        names = [w.name for w in self.failure.worlds if w.phase == phase]
        made = len(self.record.calls)
        self._in_each_world(phase, self._make_calls_in, names)
        self._save()
        return self.record.calls[made:]

    def remedies(self) -> Sequence[CallRecord]:
        """Try each remedy on what fails, and take it back; those of the whole mesh alone and last.

        Before the mesh is changed, other runs on the cluster are waited for; they wait until the
        change is withdrawn.
        """
        made = len(self.record.calls)
        self._try_remedies("namespace", "remedies")
        self._save()
        self._lock.release()
        self._try_on_mesh()
        self._save()
        return self.record.calls[made:]

    def _try_on_mesh(self) -> None:
        wanted = [remedy.name for remedy in self.failure.remedies if remedy.scope == "mesh"]
        if wanted and "mesh-scope" not in self._cluster.offers():
            self.record.skipped.update(dict.fromkeys(wanted, NOT_OURS))
        if not wanted or self.record.skipped:
            return
        try:
            self.tell("waiting until no other run uses the mesh")
            with self._lock.alone():
                self._try_remedies("mesh", "mesh")
        except TimedOut as busy:
            self.record.untried.update(dict.fromkeys(wanted, str(busy)))

    def _try_remedies(self, scope: Scope, act: str) -> None:
        tried = [remedy for remedy in self.failure.remedies if remedy.scope == scope]
        names = list(dict.fromkeys(remedy.call.world for remedy in tried))
        if names:
            self._in_each_world(act, lambda name: self._try_in(name, act, tried), names)

    def _try_in(self, name: str, act: str, tried: Sequence[Remedy]) -> None:
        """Try a world's remedies together: each has a Service of its own, so none helps another."""
        live = self._worlds.get(name)
        if live is None or name not in self.record.pods:
            return  # it did not come up: the problems say why
        ours = [remedy for remedy in tried if remedy.call.world == name]
        trial = Trial(self._cluster, live, ours, passthrough=self.failure.passthrough)
        with self._captured(live, act) as counters:
            self._make_step(live, counters, act, "broken", ours, 0.0)
            try:
                self.record.untried.update(trial.apply())
                counters.forget()
                self._keep_configurations(name, trial.configurations, act, "changed")
                self._make_step(live, counters, act, "changed", ours, trial.since)
            finally:
                self.record.untried.update(trial.withdraw())
                counters.forget()
            self._keep_configurations(name, trial.configurations, act, "restored")
            self._make_step(live, counters, act, "restored", ours, trial.since)
        self._record_pods(live)

    def _make_step(
        self,
        live: LiveWorld,
        counters: Counters,
        act: str,
        step: Step,
        tried: Sequence[Remedy],
        since: float,
    ) -> None:
        """Make one step's call of each remedy; since: when the step's change was active.

        A remedy without a change (another pod is called) may use a connection that is older.
        """
        for remedy in tried:
            changes = remedy.change.after != remedy.change.before
            if remedy.name not in self.record.untried:
                call = remedy.call_of(step)
                self._make_call(call, live, counters, act, since if changes else 0.0)

    def _keep_configurations(
        self, world: str, held: Mapping[str, Configuration], act: str = "", step: str = ""
    ) -> None:
        for workload, one in held.items():
            self._dumps.keep(config_name(world, workload, act, step), one.dump)

    def _make_calls_in(self, name: str) -> None:
        """Make a world's calls, one after the other, with all its interfaces captured."""
        live = self._worlds.get(name)
        if live is None or name not in self.record.pods:
            return  # it did not come up: the problems say why
        with self._captured(live) as counters:
            for call in self.failure.calls_in(name):
                self._make_call(call, live, counters)
        self.record.secrets[name] = world.secrets(self._cluster, live.namespace)
        called = {call.to for call in self.failure.calls_in(name)}
        self.record.tools[name] = istioctl.ask(live, sorted(called & live.pods.keys()))

    def _make_call(
        self, call: Call, live: LiveWorld, counters: Counters, act: str = "", since: float = 0.0
    ) -> None:
        made = calls.make(call, self._cluster, live, counters, act, since)
        self.record.calls.append(made)
        step = f" {call.step}" if call.step else ""
        came = f"{made.outcome} {made.status or ''}".strip()
        self.tell(f"{live.world.name}{step}: {made.lost or came}  <-  $ {made.typed}")

    @contextmanager
    def _captured(self, live: LiveWorld, act: str = "") -> Iterator[Counters]:
        """Capture a world's packets and read its proxies' counters meanwhile; its logs afterwards.

        act: empty for the failure's own calls, else that of the remedies.
        """
        captures = Captures(self._cluster, live, self.folder / "captures", act)
        captures.start()
        self.record.add_uncaptured(live.world.name, captures.refused, self.tell)
        try:
            yield Counters(self._cluster, live)
        finally:
            captures.stop()
            self.record.captures.setdefault(live.world.name, []).extend(captures.records)
            self.record.problems += captures.problems
            self.record.problems += logs.keep(self._cluster, live, self.folder / "logs")

    def _in_each_world(self, what: str, work: Callable[[str], None], names: list[str]) -> None:
        """Do something in several worlds at once; a world that fails is a recorded problem.

        Where the cluster itself has failed, nothing more is tried on it, and that is all that is
        told.
        """
        kept = self.record
        if kept.trouble:
            return
        self.tell(f"{what}: {', '.join(names)}")
        problems = []
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            for name, future in [(name, pool.submit(work, name)) for name in names]:
                try:
                    future.result()
                except LabError as problem:
                    problems.append(f"{name}: {problem}")
        kept.trouble = self._cluster.trouble()
        if not kept.trouble:
            problems += self._restarts(names)
        for line in [f"STOPPED: {kept.trouble}"] if kept.trouble else problems:
            self.tell(line)
        kept.problems += problems

    def _restarts(self, names: Sequence[str]) -> list[str]:
        """Return a problem for each container of these worlds that ended since it was ready."""
        try:
            return [
                f"{name}: {ended}"
                for name in names
                if name in self.record.pods
                for ended in readiness.ended_containers(self._cluster, self._worlds[name])
            ]
        except ClusterGone as lost:
            return [str(lost)]

    @property
    def evidence(self) -> Evidence:
        """What is recorded so far."""
        return self.record.evidence(self._worlds.values())

    def _save(self) -> None:
        evidence.save(self.evidence, self.folder)

    def finish(self) -> None:
        """Give back the mesh and the pods, and write the evidence as it is to be judged."""
        self._lock.release()
        self._save()
        turn.end(self.failure.name)

    def close(self) -> None:
        """Remove this run's namespaces; those of a cluster that is gone are gone with it."""
        self._lock.release()
        with suppress(ClusterGone):
            world.remove(self._cluster, self.run_id)
