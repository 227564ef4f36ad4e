"""Negative controls: in each plane a lie is planted, and never makes an edge mutual TLS.

What is planted is true of another call of the same run: its capture, its configuration, its log
line, its counters. It is caught by name, or leads to *unknown*.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from altered import case

from lab import failures
from lab.judge.case import Case
from lab.judge.disagreements import find_disagreements
from lab.judge.edge import observe_edge
from lab.judge.observation import Observation
from lab.judge.planes import read_witnesses
from lab.model import store
from lab.model.evidence import CallRecord, config_name

Told = dict[str, Any]


class Edge(NamedTuple):
    """An edge that is not mutual TLS, and a call of the same failure that is."""

    failure: str
    name: str
    other: str


def _hops(of: Case) -> Iterator[Observation]:
    seen = (of.see(name) for name, call in of.calls.items() if not call.through)
    return (one for one in seen if one and one.query and one.security != "unknown")


def _edges() -> Iterator[Edge]:
    """Each sort of edge once: by failure, and by what all planes say."""
    for failure in failures.names():
        of = case(failure)
        mutual = [one for one in _hops(of) if one.security == "mutual_tls" and one.client_line]
        sorts: dict[tuple[str, ...], str] = {}
        for one in _hops(of):
            if one.security != "mutual_tls":
                answers = tuple(said.security for said in read_witnesses(of, one))
                sorts.setdefault(answers, one.record.name)
        for other in mutual[:1]:  # a failure without any has nothing to lie with
            yield from (Edge(failure, name, other.record.name) for name in sorts.values())


EDGES = [*_edges()]


class Planted:
    """A copy of a failure's evidence in which one call is given what is another one's."""

    def __init__(self, edge: Edge, folder: Path) -> None:
        self.edge, self.folder = edge, folder
        shutil.copytree(store.RECORDED / edge.failure, folder, dirs_exist_ok=True)
        true = case(edge.failure)
        liar, other = true.see(edge.name), true.see(edge.other)
        assert liar
        assert other
        self.true, self.liar, self.other = true, liar, other

    def evidence(self, change: Callable[[Told, Told], None]) -> None:
        """Alter evidence.json: called with the call's own record and the other one's."""
        path = self.folder / "evidence.json"
        told = json.loads(path.read_text())
        by_name = {call["name"]: call for call in told["calls"]}
        change(by_name[self.edge.name], by_name[self.edge.other])
        path.write_text(json.dumps(told))

    def file(self, record: CallRecord, pod: str, interface: str) -> Path:
        found = self.true.evidence.worlds[record.world].capture(pod, interface, record.act)
        assert found
        return self.folder / found.file


def capture(lie: Planted) -> None:
    """The packets of the other call's pods, in the place of this one's."""
    ends = ("source", "to")
    for interface in ("eth0", "lo"):
        files = []
        for end in ends:
            source, target = (getattr(one.call, end) for one in (lie.other, lie.liar))
            files.append(
                (
                    lie.file(lie.other.record, source, interface).read_bytes(),
                    lie.file(lie.liar.record, target, interface),
                )
            )
        for data, place in files:
            place.write_bytes(data)
    told = json.loads((lie.folder / "evidence.json").read_text())
    for world in told["worlds"].values():
        for record in world["captures"]:  # a lie that fits: as many packets as it says
            record["packets"] = _packets(lie.folder / record["file"])
    (lie.folder / "evidence.json").write_text(json.dumps(told))


def _packets(path: Path) -> int:
    from lab.packets import pcap

    return len(pcap.capture(path).frames)


def configuration(lie: Planted) -> None:
    """What istiod told other proxies, or these at another time."""
    for end in ("source", "to"):
        names = []
        for one in (lie.other, lie.liar):
            record, pod = one.record, getattr(one.call, end)
            names.append(config_name(record.world, pod, record.act, record.step))
        if names[0] != names[1] and (lie.folder / "config" / names[0]).exists():
            shutil.copyfile(lie.folder / "config" / names[0], lie.folder / "config" / names[1])


def _log(lie: Planted, change: Callable[[Told], Told]) -> None:
    """The server's proxy has one line of the call: the other call's, changed."""
    line = {**(lie.other.server_line or {})}
    line.pop("lab_line")
    world = lie.liar.record.world
    path = lie.folder / "logs" / f"{world}-{lie.liar.call.to}.jsonl"
    number = (lie.liar.server_line or {}).get("lab_line")
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [text for at, text in enumerate(lines, 1) if at != number]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*kept, json.dumps(change(line)), ""]))


def line(lie: Planted) -> None:
    """A line that gives this call's request id, and is of the other's connection."""
    _log(lie, lambda other: {**other, "request_id": lie.liar.record.request_id})


def forged_line(lie: Planted) -> None:
    """A line that fits in its port and its time too: only what it says of TLS is the other's."""
    own = lie.liar
    address = own.wire.packets.client
    started = (own.server_line or {}).get("start_time")
    _log(
        lie,
        lambda other: {
            **other,
            "request_id": own.record.request_id,
            "downstream_remote_address": address,
            "start_time": started or other["start_time"],
        },
    )


def counters(lie: Planted) -> None:
    """What another call made the answering proxy count."""

    def change(own: Told, other: Told) -> None:
        own["counters"] = {lie.liar.call.to: other["counters"].get(lie.other.call.to, {})}

    lie.evidence(change)


LIES = (capture, configuration, line, forged_line, counters)


def _lies() -> Iterator[Any]:
    """Each lie on each edge; of one proxy at one time there is one configuration."""
    for edge in EDGES:
        of = case(edge.failure)
        records = [one for name in edge[1:] if (one := of.evidence.call(name))]
        alike = len({(one.world, one.act, one.step) for one in records}) == 1
        for plant in LIES:
            if plant is not configuration or not alike:
                yield pytest.param(edge, plant, id=f"{edge[0]}-{edge[1]}-{plant.__name__}")


@pytest.mark.parametrize(("edge", "plant"), [*_lies()])
def test_no_planted_lie_makes_an_edge_mutual_tls(
    edge: Edge, plant: Callable[[Planted], None], tmp_path: Path
) -> None:
    lie = Planted(edge, tmp_path)
    plant(lie)
    told = case(edge.failure, tmp_path)
    seen = told.see(edge.name)
    assert seen
    assert seen.security != "mutual_tls"
    found = observe_edge(told, seen)
    odd = {one.name for one in find_disagreements(found)}
    honest = observe_edge(lie.true, lie.liar)
    believed = [said for said in read_witnesses(told, seen) if said.security == "mutual_tls"]
    was = [said for said in read_witnesses(lie.true, lie.liar) if said.security == "mutual_tls"]
    if len(believed) > len(was):
        assert odd, f"{[said.source for said in believed]} lie, and nothing is at odds"
    assert seen.security in (lie.liar.security, "unknown", "none"), odd
    assert {one.drawn for one in found.graphs} <= {one.drawn for one in honest.graphs} | {
        "unknown",
        "no edge",
    }
