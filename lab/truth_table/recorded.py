"""What was recorded of a table, read from its folder: calls, packets, logs, joined by ports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.common import untrusted
from lab.envoy.mesh import address_text
from lab.packets import pcap, udp
from lab.packets.pcap import Connection
from lab.packets.udp import Datagram
from lab.planes import log
from lab.truth_table import gauges, predictions
from lab.truth_table.asked import Asked, from_json
from lab.truth_table.cells import Cell
from lab.truth_table.gauges import Reading
from lab.truth_table.predictions import Foretold

Line = Mapping[str, Any]
NAME = "truth_table"
"""Of the folder of a table, in that of its run."""
TABLE, CALLS, PREDICTIONS = "table.json", "calls.jsonl", "predictions.json"
GAUGES = "gauges.json"
SHARDS = "shards"
"""The folder of a table that was measured in shards: each has a folder there."""
HANGS = "hangs"
"""How table-calls tells that no answer came in time."""


@dataclass(frozen=True)
class Call:
    """One call of a cell, as the calling process told it, and who was there."""

    asked: Asked
    told: Mapping[str, Any]
    """The job and its result (lab/workloads/tools/table-calls)."""
    caller: Pod
    server: Pod
    gateway: Pod | None = None
    """What the client connects to in the server's place."""

    @property
    def cell(self) -> Cell:
        return self.asked.cell

    @property
    def second(self) -> Call | None:
        """Return the call as it was repeated because it hung; None where it was not."""
        told = self.told.get("second")
        return replace(self, told=told) if told else None

    @property
    def waited(self) -> bool:
        """Return whether it was connected and got no answer in time.

        A SYN that is not answered is lost, and waits nowhere.
        """
        return self.told["outcome"] == HANGS and bool(self.told["connected"])

    @property
    def source(self) -> str:
        """Return the address from which the application called."""
        return f"{self.caller.ip}:{self.told['source']}"

    @property
    def connecting(self) -> float:
        """Return since when a proxy may have its connection, Unix seconds.

        `started` is noted after the caller has its own end of it, and late where it is busy.
        """
        return float(self.told.get("connecting", self.told["started"]))

    @property
    def ended(self) -> float:
        """Return when it had ended, Unix seconds."""
        return float(self.told["started"]) + float(self.told["seconds"])


@dataclass(frozen=True)
class Pod:
    """A pod of the table's."""

    policy: str
    workload: str
    ip: str
    name: str
    """namespace/pod"""
    has_sidecar: bool

    @property
    def file(self) -> str:
        return f"{self.policy}-{self.workload}"


def of_run(folder: Path) -> list[Recorded]:
    """Return what was recorded in a run's folder, by shard; one where it was not divided."""
    if (folder / TABLE).exists():
        return [Recorded(folder)]
    found = (path.parent for path in folder.glob(f"{SHARDS}/*/{TABLE}"))
    return [Recorded(path) for path in sorted(found, key=lambda one: (len(one.name), one.name))]


class Recorded:
    """A folder of a table's recordings. Files are read when they are first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._claimed: dict[str, frozenset[tuple[str, str]]] = {}
        self._numbers: dict[str, dict[int, Connection]] = {}
        self._marked: dict[str, dict[str, list[Line]]] = {}
        self._lines: dict[str, list[Line]] = {}
        self._by: dict[tuple[str, str], dict[str, list[Line]]] = {}
        self._datagrams: dict[str, list[Datagram]] = {}
        self._connections: dict[str, dict[str, list[Connection]]] = {}

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """Return the stack, the pods and the cells."""
        found: Mapping[str, Any] = json.loads(self._text(TABLE))
        return found

    def _text(self, name: str) -> str:
        return untrusted.read_bytes(self.folder / name, self.folder).decode()

    @cached_property
    def pods(self) -> dict[tuple[str, str], Pod]:
        """Return the pods by policy and workload."""
        each = (Pod(**one) for one in self.about["pods"])
        return {(one.policy, one.workload): one for one in each}

    @cached_property
    def calls(self) -> list[Call]:
        """Return every call that was made, in the order of the plan."""
        told = {one["id"]: one for one in map(json.loads, self._text(CALLS).splitlines())}
        every = (from_json(one) for one in self.about["calls"])
        return [self._call(one, told[one.cell.key]) for one in every if one.cell.key in told]

    def _call(self, asked: Asked, told: Mapping[str, Any]) -> Call:
        there = {
            name: pod for (policy, name), pod in self.pods.items() if policy == asked.cell.policy
        }
        gateway = there.get(asked.gateway)
        return Call(asked, told, there[asked.caller], there[asked.server], gateway)

    @cached_property
    def foretold(self) -> dict[str, list[Foretold]]:
        """Return what was foretold before the first call, by each cell's key."""
        return predictions.from_json(json.loads(self._text(PREDICTIONS)))

    @cached_property
    def readings(self) -> list[Reading]:
        """Return what proxies' gauges said while hung calls were repeated; none in an old table."""
        if not (self.folder / GAUGES).exists():
            return []
        return gauges.from_json(json.loads(self._text(GAUGES)))

    @cached_property
    def request_ids(self) -> frozenset[str]:
        """Return the ids of all requests, as proxies' lines are joined by them."""
        return frozenset(log.untraced(call.told["request_id"]) for call in self.calls)

    def claimed(self, pod: Pod) -> frozenset[tuple[str, str]]:
        """Return each connection that a proxy's lines name: its own address, and the other's."""
        if pod.file not in self._claimed:
            self._claimed[pod.file] = frozenset(
                (str(one.get("upstream_local_address")), str(one.get("upstream_host")))
                for one in self._read(f"logs/{pod.file}.jsonl")
            )
        return self._claimed[pod.file]

    def lines(self, pod: Pod, field: str) -> dict[str, list[Line]]:
        """Return a proxy's lines by one of their fields."""
        key = (pod.file, field)
        if key not in self._by:
            found: dict[str, list[Line]] = {}
            for line in self._read(f"logs/{pod.file}.jsonl"):
                found.setdefault(str(line.get(field)), []).append(line)
            self._by[key] = found
        return self._by[key]

    def said(self, pod: Pod) -> list[Line]:
        """Return what the application of a pod said of its connections."""
        return self._read(f"logs/{pod.file}.app.jsonl")

    def marked(self, pod: Pod) -> dict[str, list[Line]]:
        """Return what the application of a pod said of requests, by their markers."""
        if pod.file not in self._marked:
            found: dict[str, list[Line]] = {}
            for line in self.said(pod):
                for marker in line.get("markers") or ():
                    found.setdefault(str(marker), []).append(line)
            self._marked[pod.file] = found
        return self._marked[pod.file]

    def _read(self, name: str) -> list[Line]:
        if name not in self._lines:
            there = (self.folder / name).exists()
            self._lines[name] = [*log.entries(self._text(name))] if there else []
        return self._lines[name]

    def by_first_number(self, pod: Pod) -> dict[int, Connection]:
        """Return the connections at a pod's eth0 by the sequence number of their SYN."""
        if pod.file not in self._numbers:
            self._numbers[pod.file] = {
                start: one
                for each in self.connections(pod).values()
                for one in each
                if (start := one.halves["client"].start) is not None
            }
        return self._numbers[pod.file]

    def datagrams(self, pod: Pod) -> list[Datagram]:
        """Return the datagrams that were seen at a pod's eth0."""
        if pod.file not in self._datagrams:
            path = self.folder / "captures" / f"{pod.file}.pcap"
            self._datagrams[pod.file] = udp.read(path) if path.exists() else []
        return self._datagrams[pod.file]

    def connections(self, pod: Pod) -> dict[str, list[Connection]]:
        """Return the connections that were seen at a pod's eth0, by who began them."""
        name = pod.file
        if name not in self._connections:
            found: dict[str, list[Connection]] = {}
            path = self.folder / "captures" / f"{name}.pcap"
            if path.exists():
                for one in pcap.connections(pcap.read(path)):
                    found.setdefault(address_text(one.client), []).append(one)
            self._connections[name] = found
        return self._connections[name]
