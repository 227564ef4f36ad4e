"""The only place that waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from lab.common.errors import TimedOut

T = TypeVar("T")


def until(
    look: Callable[[], T | None],
    what: str,
    *,
    timeout: float,
    every: float = 0.02,
    hint: str = "",
    last_seen: Callable[[], str] | None = None,
) -> T:
    """Call `look` until it returns something true, and return that.

    what: completes "waited for ...". timeout, every: seconds; `every` grows to ten times itself.
    Raises TimedOut with the number of attempts and what was last seen.
    """
    start = time.monotonic()
    pause, attempts = every, 0
    while True:
        attempts += 1
        seen = look()
        if seen:
            return seen
        waited = time.monotonic() - start
        if waited >= timeout:
            told = f"; last seen: {last_seen()}" if last_seen else ""
            raise TimedOut(f"waited {waited:.1f} s ({attempts} looks) for {what}{told}", hint=hint)
        time.sleep(min(pause, max(0.0, timeout - waited)))
        pause = min(pause * 1.2, every * 10)
