"""What a lesson is: a broken world, a report of what is wrong, and what has to be so afterwards."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import yaml

from lab.model.scenario import World

if TYPE_CHECKING:
    from lab.lessons.now import Now

LETTERS = "abcdefgh"
Must = Literal["mutual TLS", "answered", "refused"]
Steps = tuple[str, ...]
"""A hint: where to look, what is so there, what to change. Each is shown when it is asked for."""


@dataclass(frozen=True)
class Asked:
    """A call of a lesson, and what has to come of it once the mesh is repaired."""

    name: str
    source: str
    """The workload in whose pod it is typed."""
    to: str
    """`tcp-echo:9000`, or `{ip:httpbin}:8080`: the address of that workload's pod."""
    command: str
    """As it is typed; `{marker}` is replaced by text that occurs nowhere else."""
    must: Must
    """`mutual TLS`: it is answered, and over that."""
    words: str = ""
    """What the answer has to contain."""


@dataclass(frozen=True)
class Cause:
    """A diagnosis that a learner may give."""

    says: str
    because: str
    """What shows that it is right, or refutes it."""


@dataclass(frozen=True)
class Repair:
    """A change of the mesh, as a person types it."""

    says: str
    script: str
    """Commands of a shell, in which kubectl uses the lesson's namespace."""


@dataclass(frozen=True)
class Wrong(Repair):
    """A repair that looks right and is not."""

    hint: str
    """Words of the hint that it gets."""


@dataclass(frozen=True)
class Lesson:
    """One lesson; each is a file of lab/lessons/exercises."""

    name: str
    title: str
    minutes: int
    learned: str
    """What one can do afterwards; completes `Afterwards you can ...`."""
    report: str
    """The symptom, as a colleague reports it: never the cause."""
    failure: str
    """The lab's failure that tells the whole story."""
    recorded: str
    """The call of that failure's recorded run that shows the symptom, for who has no cluster."""
    world: World
    asked: Sequence[Asked]
    """The reported call comes first."""
    causes: Sequence[Cause]
    """The right one comes first; they are shown in another order."""
    look: Sequence[str]
    """Commands to look with."""
    hints: Callable[[Now], Iterable[Steps]]
    """Yields what is still wrong in the present state, the most important first."""
    solution: Repair
    others: Sequence[Repair]
    """Other right ways."""
    wrong: Sequence[Wrong]
    remember: str
    """What to keep in mind."""

    @property
    def reported(self) -> Asked:
        return self.asked[0]

    @property
    def choices(self) -> dict[str, Cause]:
        """Return the causes in the order in which they are shown, each with its letter."""
        causes = [*self.causes]
        random.Random(self.name).shuffle(causes)
        return dict(zip(LETTERS, causes, strict=False))


def patch(kind: str, name: str, change: str) -> str:
    """Return the command that merges a change into an object. change: YAML; kubectl takes JSON."""
    return f"kubectl patch {kind} {name} --type merge -p '{json.dumps(yaml.safe_load(change))}'"


def apply(manifest: str) -> str:
    """Return the command that applies a manifest."""
    return f"kubectl apply -f - <<'EOF'\n{manifest}EOF"
