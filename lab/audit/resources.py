"""Config dumps in JSON, of which equal resources are read once.

Proxies of one mesh are told much the same: each listener, cluster, route and endpoint that is equal
to one of another dump, byte by byte, becomes the same object. Version and time of each are not
part of it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.json import decode

_LISTS = frozenset(
    f"{how}_{what}"
    for how, what in (
        ("static", "listeners"),
        ("dynamic", "listeners"),
        ("static", "clusters"),
        ("dynamic_active", "clusters"),
        ("static", "route_configs"),
        ("dynamic", "route_configs"),
        ("static", "endpoint_configs"),
        ("dynamic", "endpoint_configs"),
    )
)
_RESOURCES = frozenset(("listener", "cluster", "route_config", "endpoint_config"))
MOST = 32 << 20
"""Bytes of resources that are remembered; as objects they take some five times as much."""


class Resources:
    """The resources that were read last."""

    def __init__(self, most: int = MOST) -> None:
        self._left = most
        self._known: OrderedDict[bytes, tuple[int, Any]] = OrderedDict()

    def read(self, data: bytes) -> Any:
        """Return what is in JSON, with equal resources of config dumps as the same object.

        Raises ValueError for what is no JSON.
        """
        try:
            try:
                return self._dump(decode(data, type=dict[str, Raw]))
            except msgspec.ValidationError:
                return decode(data)  # it has another shape, which its reader tells of
        except (msgspec.MsgspecError, RecursionError) as wrong:
            raise ValueError(str(wrong)) from None

    def _dump(self, whole: Mapping[str, Raw]) -> Any:
        read = {name: decode(raw) for name, raw in whole.items() if name != "configs"}
        if "configs" not in whole:
            return read
        parts = decode(whole["configs"], type=list[dict[str, Raw]])
        return {"configs": [dict(self._part(one)) for one in parts], **read}

    def _part(self, part: Mapping[str, Raw]) -> Iterator[tuple[str, Any]]:
        for name, raw in part.items():
            if name not in _LISTS or raw == b"null":
                yield name, decode(raw)
            else:
                entries = decode(raw, type=list[dict[str, Raw]])
                yield name, [dict(self._entry(one)) for one in entries]

    def _entry(self, entry: Mapping[str, Raw]) -> Iterator[tuple[str, Any]]:
        for name, raw in entry.items():
            if name in _RESOURCES:
                yield name, self._resource(raw)
            elif name == "active_state":
                yield name, dict(self._entry(decode(raw, type=dict[str, Raw])))
            else:
                yield name, decode(raw)

    def _resource(self, raw: Raw) -> Any:
        size = len(memoryview(raw))
        key = hashlib.blake2b(raw, digest_size=20).digest()
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key][1]
        read = decode(raw)
        self._known[key] = size, read
        self._left -= size
        while self._left < 0 and len(self._known) > 1:
            forgotten, _ = self._known.popitem(last=False)[1]
            self._left += forgotten
        return read
