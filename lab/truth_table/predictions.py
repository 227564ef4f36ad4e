"""What the model of the proxies foretells of each cell, before any call is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from lab.envoy import sends, walk
from lab.envoy.mesh import Mesh
from lab.envoy.way import Flow, Way, Wire
from lab.truth_table.asked import Asked
from lab.truth_table.axes import PAYLOADS

APPLICATION = "application"


@dataclass(frozen=True)
class Foretold:
    """One way that a cell's call can take, without its steps."""

    outcome: str
    by: str
    """Who ends the call: `application`, `client's proxy`, `server's proxy` or `node`."""
    status: int
    flag: str
    detail: str
    wire: str
    """none, plaintext, tls or mutual_tls."""
    share: float
    unknown: str = ""
    first_leg: str = ""
    """What crosses on the way to the gateway, as `wire`; empty where there is none."""


def foretell(mesh: Mesh, calls: Iterable[tuple[Asked, str]]) -> dict[str, list[Foretold]]:
    """Return the ways of each call, by its cell's key. With each call, its caller's address.

    mesh: all pods and Services.
    """
    return {
        asked.cell.key: [of_way(way) for way in ways(mesh, asked, caller)]
        for asked, caller in calls
    }


def ways(mesh: Mesh, asked: Asked, caller: str) -> list[Way]:
    """Return the ways of one call, with their steps. caller: the address of the calling pod."""
    return walk.ways(mesh, mesh.workloads[caller], flow(asked))


def flow(asked: Asked) -> Flow:
    """Return one call as its application makes it."""
    sent, request = sends.sent(PAYLOADS[asked.cell.sends].sends, asked.host, "/")
    if sent.server_name:
        sent = replace(sent, server_name=asked.server_name)
    if asked.within:
        shows = asked.within == "mutual-tls"
        sent, request = sends.within_tls((sent, request), asked.server_name, certificate=shows)
    return Flow((asked.address, asked.port), sent, request)


def of_way(way: Way) -> Foretold:
    """Return a way without its steps."""
    arrives = way.outcome == "arrives"
    return Foretold(
        way.outcome,
        APPLICATION if arrives else way.by,
        way.status,
        way.flag,
        way.detail,
        _crosses(way.wire, way),
        way.share,
        way.unknown,
        _crosses(way.earlier[0], way) if way.earlier else "",
    )


def _crosses(wire: Wire | None, way: Way) -> str:
    silent = wire is not None and wire.tls is None and not wire.sent.data
    if wire is None or (silent and way.outcome != "arrives"):
        return "none"
    return wire.security


def as_json(found: dict[str, list[Foretold]]) -> dict[str, Any]:
    """Return all of it for a file, with a digest of its content."""
    cells = {key: [asdict(one) for one in each] for key, each in sorted(found.items())}
    content = json.dumps(cells, sort_keys=True).encode()
    return {"sha256": hashlib.sha256(content).hexdigest(), "cells": cells}


def from_json(stored: dict[str, Any]) -> dict[str, list[Foretold]]:
    """Return what `as_json` wrote."""
    return {key: [Foretold(**one) for one in each] for key, each in stored["cells"].items()}
