"""A lesson on a live mesh: its world, the calls that are made now, and its reset."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from dataclasses import replace

from clusters import mesh
from clusters.base import PodRef
from clusters.kube import Obj
from lab.common.errors import LabError
from lab.judge.observation import Observation
from lab.lessons import settled, snapshot
from lab.lessons.lesson import Asked, Lesson, Repair
from lab.lessons.now import Now
from lab.lessons.tools import Done, Tools
from lab.model.scenario import World, fill
from lab.observe import ends, stored
from lab.observe.recording import Recording
from lab.record import begin, readiness, world
from lab.record.world import LiveWorld, ready, reference
from lab.workloads.manifests import CALLERS
from lab.workloads.variants import Variant

KINDS: Mapping[str, str] = {
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "PeerAuthentication": "/apis/security.istio.io/v1/namespaces/{}/peerauthentications",
    "AuthorizationPolicy": "/apis/security.istio.io/v1/namespaces/{}/authorizationpolicies",
    "DestinationRule": "/apis/networking.istio.io/v1/namespaces/{}/destinationrules",
    "ServiceEntry": "/apis/networking.istio.io/v1/namespaces/{}/serviceentries",
    "Sidecar": "/apis/networking.istio.io/v1/namespaces/{}/sidecars",
}
"""What hints read."""
IDLE = {"ISTIO_META_IDLE_TIMEOUT": "1s"}


class LiveLesson:
    """A lesson's world on a cluster."""

    def __init__(self, lesson: Lesson, word: str) -> None:
        """Start the cluster if it is not up, and deploy the lesson's world on it."""
        self.lesson = lesson
        began = begin.begun(f"lesson-{lesson.name}", word)
        self._cluster, self._folder, self._tell = began.cluster, began.folder, began.tell
        self._calls = 0
        self.run = began.folder.parent.name
        if began.owned:
            atexit.register(self.close)
        self._live = self._deploy()
        self.namespace = self._live.namespace
        self.tools = Tools(self._cluster, self.namespace, self._tell)
        self._kinds = snapshot.resources(self._cluster.kube)
        self._was = snapshot.take(self._cluster.kube, self.namespace, self._kinds)

    def _deploy(self) -> LiveWorld:
        space = f"lesson-{self.lesson.name.replace('_', '-')}"
        settings = mesh.read(self._cluster.kube)
        wanted = _without_old_connections(self.lesson.world)
        live = world.deploy(self._cluster, wanted, self.run, space, settings, namespace=space)
        readiness.wait_ready(self._cluster, live)
        settled.wait(self._cluster, live.namespace)
        return live

    @property
    def where(self) -> str:
        """Return on what it runs, in words."""
        here, stack = self._cluster.kind, self._cluster.stack
        return f"live: {here} cluster, Istio {stack.istio}, Kubernetes {stack.kubernetes}"

    def now(self) -> Now:
        """Return the objects of the lesson's namespace, as they are now."""
        kube = self._cluster.kube
        found = {kind: kube.items(path.format(self.namespace)) for kind, path in KINDS.items()}
        return Now(self.namespace, found)

    def problem(self) -> str:
        """Wait until what was applied is in force; return why it is not, or nothing."""
        return settled.problem(self._cluster, self.namespace)

    def make(self, asked: Asked) -> Observation | None:
        """Make a call now, and return what all witnesses say of it.

        None: its answer was lost. Raises LabError where it cannot be made.
        """
        self._refresh()
        self._calls += 1
        source = self._pod(asked.source)
        target = ends.target(self._cluster.kube, self._filled(asked.to), self.namespace)
        recording = Recording(self._cluster, source, target, self._filled(asked.command))
        folder = self._folder / f"{self._calls:03}-{asked.name}"
        return stored.seen(recording.make(folder, packets=True))

    def repair(self, repair: Repair) -> Done:
        """Do what a person would type. Raises LabError where a command fails."""
        done = self.tools.run(self.script(repair))
        if done.code:
            raise LabError(f"{repair.says}: a command ended with {done.code}: {done.said}")
        return done

    def script(self, repair: Repair) -> str:
        """Return the commands of a repair, as they are typed here."""
        return self._filled(repair.script)

    def reset(self) -> list[str]:
        """Make the namespace as it was, and wait until that is in force; return what was changed.

        Raises LabError where it does not come into force.
        """
        changed = snapshot.restore(self._cluster.kube, self._was, self._kinds)
        settled.wait(self._cluster, self.namespace)
        return changed

    def close(self) -> None:
        """Remove what the lesson made."""
        self.tools.close()
        world.remove(self._cluster, self.run)

    def _filled(self, text: str) -> str:
        return fill(text, self._live.values)

    def _refresh(self) -> None:
        """Read anew which pods there are: a repair may have replaced them."""
        for pod in self._pods():
            self._live.pods[pod["metadata"]["labels"]["app"]] = reference(pod)

    def _pods(self) -> list[Obj]:
        listed = self._cluster.kube.items(f"/api/v1/namespaces/{self.namespace}/pods")
        return [
            one
            for one in listed
            if ready(one) and not one["metadata"].get("deletionTimestamp")
            and one["metadata"].get("labels", {}).get("app") in self.lesson.world.workloads
        ]  # fmt: skip

    def _pod(self, workload: str) -> PodRef:
        return self._live.pods[workload]


def _without_old_connections(told: World) -> World:
    """Return a world whose sidecars end a connection soon after its last request.

    A request that is sent on an older one is under the rules of that connection's time, and its
    beginning is not in the packets. https://istio.io/latest/docs/reference/commands/pilot-agent/
    """
    given = {one.name: one for one in told.variants}
    servers = [given.get(name) or Variant(name) for name in told.workloads if name not in CALLERS]
    ending = [replace(one, metadata={**one.metadata, **IDLE}) for one in servers if one.sidecar]
    return replace(told, variants=tuple({**given, **{one.name: one for one in ending}}.values()))
