"""Config dumps that are read whenever they are asked for: a large mesh's do not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class StoredDumps(Mapping[str, Any]):
    """Config dumps by their pod: `shop/web-7d4b9c-x2x9k`."""

    def __init__(self, readers: Mapping[str, Callable[[], Any]]) -> None:
        self._readers = readers

    def __getitem__(self, pod: str) -> Any:
        return self._readers[pod]()

    def __contains__(self, pod: object) -> bool:
        return pod in self._readers

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)
