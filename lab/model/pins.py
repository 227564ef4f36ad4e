"""What a claim or a remedy is known to be, and the stacks on which that was seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stack:
    """The versions that every failure was run with on one kind of cluster."""

    cluster: str
    istio: str
    """The minor release: `1.31` stands for each of its patch releases."""
    envoy: tuple[str, ...]
    """The exact versions."""

    def holds(self, istio: str, envoy: str, cluster: str) -> bool:
        """Return whether that stack is one of these."""
        return cluster == self.cluster and minor(istio) == self.istio and envoy in self.envoy

    def __str__(self) -> str:
        return f"{self.cluster}: Istio {self.istio}, Envoy {', '.join(self.envoy)}"


MEASURED: tuple[Stack, ...] = (
    Stack("embedded", "1.30", ("1.38.3",)),
    Stack("embedded", "1.31", ("1.36.2", "1.38.3", "1.40.0")),
    Stack("kind", "1.31", ("1.38.3",)),
    Stack("existing", "1.31", ("1.38.3",)),
)
"""Every stack that every failure was run on. A pin covers no other: there, a verdict is *new*."""


@dataclass(frozen=True)
class Pin:
    """The words that a claim or a remedy is known to get, and why."""

    words: tuple[str, ...]
    """As posted and today's form of a claim; the one word of a remedy."""
    why: str
    clusters: tuple[str, ...] = ()
    """The kinds of cluster that it speaks of; empty: every kind of `stacks`."""
    stacks: tuple[Stack, ...] = MEASURED
    """Where a word holds for some of the measured stacks only, these."""

    def covers(self, istio: str, envoy: str, cluster: str) -> bool:
        """Return whether this pin speaks of that Istio with that Envoy on that kind of cluster."""
        known = any(stack.holds(istio, envoy, cluster) for stack in self.stacks)
        return known and (not self.clusters or cluster in self.clusters)


def minor(istio: str) -> str:
    """Return the minor release of an Istio: `1.31` of `1.31.2`."""
    return ".".join(istio.split(".")[:2])
