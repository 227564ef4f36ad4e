"""A lesson without a cluster: its reported call as it was recorded, and its objects as declared."""

from __future__ import annotations

from clusters.kube import Obj, documents
from lab import failures
from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.lessons.lesson import Asked, Lesson
from lab.lessons.now import Now
from lab.model import store
from lab.model.scenario import fill

NAMESPACE = "lesson"


class RecordedLesson:
    """What of a lesson needs no cluster."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        failure = failures.load(lesson.failure)
        self._case = Case.open(failure, store.RECORDED / failure.name)

    @property
    def where(self) -> str:
        """Return what is shown, in words."""
        evidence = self._case.evidence
        stack = evidence.stack
        return (
            f"RECORDED: a call like the reported one, of {evidence.recorded_at[:10]}, "
            f"{evidence.cluster} cluster, Istio {stack['istio']}"
        )

    def make(self, asked: Asked) -> Observation | None:
        """Return the recorded call; None for another than the reported one: it is not recorded."""
        return self._case.see(self.lesson.recorded) if asked == self.lesson.reported else None

    def now(self) -> Now:
        """Return the objects as the lesson declares them."""
        world = self.lesson.world
        texts = [world.policy, world.objects, *(one.manifest for one in world.services)]
        found: dict[str, list[Obj]] = {}
        for text in texts:
            for one in documents(fill(text, {"namespace": NAMESPACE})):
                found.setdefault(one["kind"], []).append(one)
        for variant in world.variants:
            template = {"metadata": {"annotations": dict(variant.annotations)}}
            made = {"metadata": {"name": variant.name}, "spec": {"template": template}}
            found.setdefault("Deployment", []).append(made)
        return Now(NAMESPACE, found)
