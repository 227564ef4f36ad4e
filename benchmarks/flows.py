"""Measures the CPU time in which the model of the proxies walks calls through a large dump.

    .venv/bin/python benchmarks/flows.py [CLUSTERS [CALLS]]

The dump is the one that the tests have, with its Service httpbin repeated: each has a name, an
address, clusters, endpoints, listeners and virtual hosts of its own. Nothing is asserted.
"""

from __future__ import annotations

import gzip
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

from lab.envoy import dump, node, sends, services, walk
from lab.envoy.mesh import Mesh
from lab.envoy.way import Flow
from lab.model import store

DATA = store.ROOT / "tests" / "lab" / "envoy" / "data"
HOST, ADDRESS = "httpbin.demo.svc", "10.96.224.209"
PORTS = (8000, 8001, 8002, 8003)
ROUNDS = 5


def stored(name: str) -> Any:
    return json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))


def repeated(content: Any, times: int) -> Any:
    """Return a caller's dump in which httpbin is there so many times more."""
    for config in content["configs"]:
        for key, entries in config.items():
            if isinstance(entries, list):
                config[key] = [*entries, *_copies(entries, times)]
                for one in entries:
                    _repeat_hosts(one.get("route_config") or {}, times)
    return content


def _copies(entries: list[Any], times: int) -> Iterator[Any]:
    """Yield copies of what is httpbin's alone."""
    for one in entries:
        text, routes = json.dumps(one), one.get("route_config") or {}
        if (HOST in text or ADDRESS in text) and HOST in str(routes.get("name", HOST)):
            yield from (_renamed(text, number) for number in range(times))


def _repeat_hosts(config: Any, times: int) -> None:
    """Add virtual hosts of the copies to a route configuration that Services share."""
    if HOST in str(config.get("name", "")):
        return
    own = [json.dumps(one) for one in config.get("virtual_hosts") or () if HOST in one["name"]]
    for text in own:
        config["virtual_hosts"] += [_renamed(text, number) for number in range(times)]


def _renamed(text: str, number: int) -> Any:
    own = text.replace("httpbin", f"httpbin-{number}")
    return json.loads(own.replace(ADDRESS, address(number)))


def address(number: int) -> str:
    """Return the ClusterIP of a copy."""
    return f"10.97.{number // 250}.{number % 250 + 1}"


def flows(copies: int, calls: int) -> list[Flow]:
    """Return calls of every payload to every copy and port, in a random order."""
    chance, made = random.Random(1), []
    for _ in range(calls):
        number, name = chance.randrange(copies), chance.choice([*sends.SENDS])
        bytes_, request = sends.sent(name, f"httpbin-{number}", "/")
        made.append(Flow((address(number), chance.choice(PORTS)), bytes_, request))
    return made


def main(clusters: int = 500, calls: int = 10_000) -> None:
    """Print what was walked, and how long it took."""
    content = stored("client")
    of_one = sum(HOST in one["cluster"]["name"] for one in _clusters(content))
    copies = (clusters - len(_clusters(content))) // of_one + 1
    content, server = repeated(content, copies), stored("httpbin")
    began = time.process_time()
    ends = [node.workload(one, dump.read(one)) for one in (content, server)]
    assert ends[0].proxy
    mesh = Mesh({one.address: one for one in ends}, services.endpoints(ends[0].proxy))
    read = time.process_time() - began
    asked, seconds = flows(copies, calls), []
    for _ in range(ROUNDS):
        began = time.process_time()
        unknown = sum(walk.ways(mesh, ends[0], one)[0].outcome == "unknown" for one in asked)
        seconds.append(time.process_time() - began)
    found = len(ends[0].proxy.clusters)
    print(
        f"{calls} calls, {unknown} of them unknown, {found} clusters: "
        f"read in {read:.1f} s, walked in {statistics.median(seconds):.1f} s "
        f"({min(seconds):.1f} to {max(seconds):.1f}, {ROUNDS} rounds)"
    )


def _clusters(content: Any) -> list[Any]:
    return [
        one
        for config in content["configs"]
        for key in ("static_clusters", "dynamic_active_clusters")
        for one in config.get(key) or ()
    ]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
