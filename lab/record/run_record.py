"""What one live run has recorded so far, kept in memory until it is written as evidence."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.model import evidence
from lab.model.evidence import (
    CallRecord,
    CaptureRecord,
    Evidence,
    PodRecord,
    ToolRecord,
    WorldRecord,
)
from lab.record.world import LiveWorld


@dataclass
class RunRecord:
    """Calls, captures, pods and problems of one run. Threads of several worlds write into it."""

    failure: str
    run: str
    cluster: str
    """Its kind."""
    stack: dict[str, str]
    parameters: dict[str, str]
    started: dict[str, float]
    """Control plane's process -> when it was started, Unix seconds."""
    mesh: dict[str, Any] = field(default_factory=dict)
    """The mesh's settings before anything was deployed (clusters/mesh.py)."""
    pods: dict[str, dict[str, PodRecord]] = field(default_factory=dict)
    """World -> workload -> its pod. A world that did not come up is not in it."""
    captures: dict[str, list[CaptureRecord]] = field(default_factory=dict)
    uncaptured: dict[str, dict[str, str]] = field(default_factory=dict)
    """World -> pod -> why its packets may not be recorded."""
    secrets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """World -> names of the Secrets in its namespace."""
    tools: dict[str, tuple[ToolRecord, ...]] = field(default_factory=dict)
    """World -> what istioctl said of it."""
    configurations: dict[str, str] = field(default_factory=dict)
    """As `Evidence` has it."""
    calls: list[CallRecord] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    untried: dict[str, str] = field(default_factory=dict)
    """Remedy -> why it could not be tried as it must be."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Remedy -> why it is not for this kind of cluster."""
    trouble: str = ""
    """What is wrong with the cluster itself; nothing more is tried on it then."""

    def add_uncaptured(
        self, world: str, refused: Mapping[str, str], tell: Callable[[str], None]
    ) -> None:
        """Record whose packets may not be captured, and tell each reason once for a world."""
        known = self.uncaptured.setdefault(world, {})
        for why in sorted({*refused.values()} - {*known.values()}):
            tell(f"{world}: packets cannot be recorded, so the wire is unknown: {why}")
        known.update(refused)

    def evidence(self, worlds: Iterable[LiveWorld]) -> Evidence:
        """Return what is recorded so far, of the worlds that are deployed."""
        pods = (pod for there in self.pods.values() for pod in there.values())
        return Evidence(
            failure=self.failure,
            run=self.run,
            recorded_at=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            cluster=self.cluster,
            stack=evidence.with_proxies(self.stack, pods),
            parameters=self.parameters,
            started=self.started,
            worlds={live.world.name: self._world(live) for live in worlds},
            # By the clock that is never set back (lab/common/clock.py).
            calls=tuple(sorted(self.calls, key=lambda call: call.started - call.clock)),
            problems=tuple(self.problems),
            untried=dict(self.untried),
            trouble=self.trouble,
            skipped=dict(self.skipped),
            mesh=self.mesh,
            configurations=dict(self.configurations),
        )

    def _world(self, live: LiveWorld) -> WorldRecord:
        name = live.world.name
        return WorldRecord(
            name=name,
            namespace=live.namespace,
            mtls=live.world.mtls,
            rule=live.world.rule,
            pods=dict(self.pods.get(name, {})),
            services=dict(live.services),
            captures=tuple(self.captures.get(name, ())),
            secrets=self.secrets.get(name, ()),
            uncaptured=dict(self.uncaptured.get(name, {})),
            private=live.private,
            tools=self.tools.get(name, ()),
        )
