"""Keeps what was made of contents: of the same bytes it is made once, wherever they are read.

A run's files are read by its verdict, its tables, its figures and its page, each of which opens
them for itself; a bundle and the run that it was packed from hold the same.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """What was made of the contents that were used last, up to a number of bytes of them."""

    def __init__(self, most: int) -> None:
        """Keep nothing yet; most: bytes of content of which results are kept together."""
        self._most, self._held = most, 0
        self._made: OrderedDict[bytes, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, content: bytes, make: Callable[[], T]) -> T:
        """Return what `make` once returned for this content. What it raises is not kept.

        The result is shared: nobody may change it.
        """
        key = hashlib.sha256(content).digest()
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key][0]
        made = make()
        with self._lock:
            self._keep(key, made, len(content))
        return made

    def _keep(self, key: bytes, made: T, size: int) -> None:
        if key in self._made or size > self._most:
            return
        self._made[key] = made, size
        self._held += size
        while self._held > self._most:
            _, (_, freed) = self._made.popitem(last=False)
            self._held -= freed
