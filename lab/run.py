"""One run of one failure on a live cluster: worlds, then before, during, after; all recorded.

    run = lab.open_run("tcp_mtls")
    run.before(); run.during(); run.after()
    run.verdict()

Evidence is written after every step, so that nothing is lost when something breaks.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from lab import calls, evidence, store, world
from lab.capture import Captures
from lab.errors import LabError
from lab.evidence import CallRecord, Evidence, PodRecord, WorldRecord
from lab.failure import Failure, Phase
from lab.verdict import Verdict, judge, to_json
from lab.wait import until
from lab.world import LiveWorld

if TYPE_CHECKING:
    from clusters.base import Cluster, PodRef

Progress = Callable[[str], None]


def parameters_of(failure: Failure, given: dict[str, str]) -> dict[str, str]:
    """All parameters of a failure, defaults filled in.

    Raises BadArguments for a name or value that the failure does not have.
    """
    import difflib

    from lab.errors import BadArguments

    for name, value in given.items():
        if name not in failure.parameters:
            near = difflib.get_close_matches(name, failure.parameters, 1, 0.4)
            meant = f"did you mean {near[0]}? " if near else ""
            there = ", ".join(failure.parameters)
            raise BadArguments(f"{failure.name} has no parameter {name!r}: {meant}it has {there}")
        allowed = failure.parameters[name].allowed
        if value not in allowed:
            raise BadArguments(f"{name}={value!r}: {failure.name} takes {', '.join(allowed)}")
    return {name: given.get(name, p.default) for name, p in failure.parameters.items()}


def with_parameters(failure: Failure, values: dict[str, str]) -> Failure:
    """The failure with its `posted` world under another policy."""
    changed = {key: values[key] for key in ("mtls", "rule") if key in values}
    worlds = tuple(
        dataclasses.replace(w, **changed) if w.name == "posted" else w  # type: ignore[arg-type]
        for w in failure.worlds
    )
    return dataclasses.replace(failure, worlds=worlds)


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
        self._captures: dict[str, Captures] = {}
        self._calls: list[CallRecord] = []
        self._problems: list[str] = []
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._status = cluster.status()

    @property
    def run_id(self) -> str:
        """The run's name; with the failure's it labels the namespaces."""
        return self.folder.parent.name.lower()

    def open(self) -> None:
        """Make every world, side by side, and wait until its policy is active."""
        self._each("deploying", self._deploy, [w.name for w in self.failure.worlds])
        self._save()

    def _deploy(self, name: str) -> None:
        declared = self.failure.world(name)
        live = world.deploy(self._cluster, declared, self.run_id, self.failure.name)
        self._worlds[name] = live
        world.wait_ready(self._cluster, live)
        problem = world.wait_active(self._cluster, live)
        if problem:
            self._problems.append(problem)
        self._pods[name] = {
            workload: world.pod_record(self._cluster, pod) for workload, pod in live.pods.items()
        }
        self._tell(f"{name}: {live.namespace} is ready")

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

    def _calls_in(self, name: str) -> None:
        """A world's calls, one after the other, with all its interfaces recorded."""
        live = self._worlds.get(name)
        if live is None or name not in self._pods:
            return  # it did not come up: `problems` says why, and the verdict will
        captures = Captures(self._cluster, live, self.folder / "captures")
        self._captures[name] = captures
        captures.start()
        try:
            for call in self.failure.calls_in(name):
                record = calls.make(call, self._cluster, live)
                self._calls.append(record)
                self._tell(f"{name}: {record.typed}  ->  {record.lost or record.outcome}")
        finally:
            captures.stop()
        self._problems += captures.problems
        self._secrets[name] = world.secrets(self._cluster, live.namespace)
        self._keep_logs(live)

    def _keep_logs(self, live: LiveWorld) -> None:
        """The proxies' access-log lines; all calls have ended, so all lines come at once."""
        for workload, pod in live.pods.items():
            if pod.has_sidecar:
                text = self._settled_log(pod)
                lines = [line for line in text.splitlines() if line.startswith("{")]
                path = self.folder / "logs" / f"{live.world.name}-{workload}.jsonl"
                store.write_text(path, evidence.redact("\n".join(lines) + "\n"))

    def _settled_log(self, pod: PodRef) -> str:
        """A proxy's log once it has stopped growing: lines are flushed every 50 ms."""
        seen: list[str] = []

        def look() -> str:
            seen.append(self._cluster.logs(pod, "istio-proxy"))
            return "same" if len(seen) > 2 and len({*seen[-3:]}) == 1 else ""

        until(look, f"the log of {pod.name} to settle", timeout=10, every=0.08)
        return seen[-1]

    def _each(self, what: str, work: Callable[[str], None], names: list[str]) -> None:
        """Do something in several worlds at once; a world that fails is a recorded problem."""
        self._tell(f"{what}: {', '.join(names)}")
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            for name, future in [(name, pool.submit(work, name)) for name in names]:
                try:
                    future.result()
                except LabError as problem:
                    self._problems.append(f"{name}: {problem}")
                    self._tell(f"{name}: {problem}")

    @property
    def evidence(self) -> Evidence:
        """What is recorded so far."""
        stack = self._cluster.stack
        return Evidence(
            failure=self.failure.name,
            run=self.folder.parent.name,
            recorded_at=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            cluster=self._cluster.kind,
            stack=dataclasses.asdict(stack),
            parameters=self.parameters,
            started={name: float(at) for name, at in self._status.details.items()},
            worlds={name: self._world_record(live) for name, live in self._worlds.items()},
            calls=tuple(sorted(self._calls, key=lambda call: call.started)),
            problems=tuple(self._problems),
        )

    def _world_record(self, live: LiveWorld) -> WorldRecord:
        name = live.world.name
        captures = self._captures.get(name)
        return WorldRecord(
            name=name,
            namespace=live.namespace,
            mtls=live.world.mtls,
            rule=live.world.rule,
            pods=dict(self._pods.get(name, {})),
            services=dict(live.services),
            captures=tuple(captures.records) if captures else (),
            active=dict(live.active),
            secrets=self._secrets.get(name, ()),
        )

    def _save(self) -> None:
        evidence.save(self.evidence, self.folder)

    def judge(self) -> Verdict:
        """Judge what is on disk, and keep the verdict beside it."""
        self._save()
        verdict = judge(self.failure, evidence.load(self.folder), self.folder)
        store.write_json(self.folder / "verdict.json", to_json(verdict))
        return verdict

    def close(self) -> None:
        """Remove this run's namespaces."""
        world.remove(self._cluster, self.run_id)
