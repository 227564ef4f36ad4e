"""Room for pods: which failures of a run may have theirs at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

BETWEEN = 0.3
"""Seconds between two looks whether pods are gone: each look asks the API for each failure."""


class Room:
    """Gives failures room for their pods while there is some; the others wait.

    A failure keeps its room when it has ended, so that its pods can be looked at with `--keep`,
    until another one needs it.
    """

    def __init__(
        self,
        pods: Mapping[str, int],
        fit: int | None,
        freed: Callable[[str], bool],
        between: float = BETWEEN,
    ) -> None:
        """Prepare it.

        pods: failure -> how many it has. fit: how many there may be at a time; None: as many as
        there are. freed: removes a failure's pods, and tells whether they are gone. between:
        seconds between two looks at them.
        """
        self._pods, self._freed, self._between = pods, freed, between
        self._looked = -math.inf
        self.fit = sum(pods.values()) if fit is None else fit
        self._taken: dict[str, bool] = {}

    @property
    def taken(self) -> int:
        """Return how many pods there may be now."""
        return sum(self._pods[name] for name in self._taken)

    def take(self, name: str) -> bool:
        """Take room for a failure; return whether there was enough.

        One that needs more than there is gets it as soon as no other has any: what happens then
        is told by its pods.
        """
        if self._taken and self.taken + self._pods[name] > self.fit:
            return False
        self._taken[name] = False
        return True

    def ended(self, name: str) -> None:
        """Note that a failure needs its pods no more."""
        if name in self._taken:
            self._taken[name] = True

    def make(self) -> None:
        """Remove the pods of failures that have ended: others wait for their room."""
        if time.monotonic() - self._looked < self._between:
            return
        for name in [name for name, ended in self._taken.items() if ended]:
            if self._freed(name):
                del self._taken[name]
        self._looked = time.monotonic()
