"""Every edge of a mesh, walked: who calls what, by which bytes, and what becomes of it."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lab.audit import ports
from lab.audit.objects import Objects
from lab.audit.ports import Destination
from lab.common.errors import LabError
from lab.envoy import dump, sends, walk
from lab.envoy.mesh import Mesh, Workload
from lab.envoy.way import CLIENT, Flow, Way
from lab.planes import Security, walked


class Inventory(Protocol):
    """What a mesh consists of, as far as an audit needs it."""

    def mesh(self) -> Mesh: ...
    def callers(self) -> Sequence[Workload]: ...
    def destinations(self, caller: Workload) -> Sequence[Destination]: ...
    def objects(self) -> Objects: ...


@dataclass(frozen=True, slots=True)
class Carrier:
    """The cluster of the caller's proxy that carries an edge; without a name: none does."""

    name: str = ""
    kind: str = ""
    """Its type, as `ORIGINAL_DST`."""
    rule: str = ""
    """The path of the DestinationRule that it was made by, as istiod writes it there."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One caller, one destination, one way of speaking, and one way that the call can take."""

    caller: Workload
    to: Destination
    sends: str
    way: Way
    server: Workload | None
    """The pod that it goes to, where that is known."""
    carrier: Carrier

    @property
    def crossed(self) -> Security:
        """Return what crosses the network, last."""
        return walked.crossed(self.way, len(self.way.earlier))

    @property
    def in_mesh(self) -> bool:
        """Return whether both ends have a sidecar."""
        return self.caller.has_sidecar and bool(self.server and self.server.has_sidecar)


@dataclass(frozen=True)
class Unread:
    """What could not be read, and why: nothing is said of it."""

    what: str
    why: str


@dataclass(frozen=True)
class Walked:
    """All edges of a mesh."""

    edges: tuple[Edge, ...]
    unread: tuple[Unread, ...]


def walk_all(inventory: Inventory) -> Walked:
    """Walk every edge. What cannot be read is listed, and never guessed."""
    mesh, edges, unread = _serving(inventory.mesh()), list[Edge](), list[Unread]()
    alike = _Alike()
    with _keeping_all():
        for one in inventory.callers():
            caller = replace(one)  # which knows its proxy's configuration only while it is walked
            try:
                destinations = inventory.destinations(caller)
            except LabError as problem:
                unread.append(Unread(caller.name, str(problem)))
                continue
            for to in destinations:
                edges += _edges(mesh, caller, to, alike)
    return Walked(tuple(edges), tuple(unread))


@contextmanager
def _keeping_all() -> Iterator[None]:
    """Look for no unreachable cycles meanwhile: edges are kept, and have none."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _serving(mesh: Mesh) -> Mesh:
    """Return a mesh whose sidecars know no more than what comes to their pods."""
    return replace(mesh, workloads={at: _server(one) for at, one in mesh.workloads.items()})


def _server(pod: Workload) -> Workload:
    read = pod.read_proxy
    if read is None or pod.is_gateway:
        return pod
    return replace(pod, read_proxy=lambda: dump.serving(read()))


class _Alike(dict[Any, Any]):
    """Returns the first of what is equal: most edges have parts that others have too."""

    def __missing__(self, one: Any) -> Any:
        self[one] = one
        return one


def _edges(mesh: Mesh, caller: Workload, to: Destination, known: _Alike) -> Iterator[Edge]:
    kept = mesh.workloads.get(caller.address, caller)
    for name in to.spoken or ports.sends(to.protocol):
        alike = {_key(way): way for way in _ways(mesh, caller, to, name)}
        for way in alike.values():
            end = way.wire.to[0] if way.wire else ""
            if end == caller.address:
                continue  # a pod that calls itself is not modelled
            steps = known[tuple(known[step] for step in way.steps)]
            carrier = known[_carrier(caller, way)]
            server = mesh.workloads.get(end)
            yield Edge(kept, to, name, way._replace(steps=steps), server, carrier)


def _carrier(caller: Workload, way: Way) -> Carrier:
    named = [one.cluster for one in way.steps if one.where == CLIENT and one.cluster]
    if not named or caller.proxy is None:
        return Carrier(*named[-1:])
    cluster = caller.proxy.clusters.get(named[-1]) or {}
    istio = ((cluster.get("metadata") or {}).get("filter_metadata") or {}).get("istio") or {}
    return Carrier(named[-1], str(cluster.get("type", "")), str(istio.get("config", "")))


def _key(way: Way) -> tuple[object, ...]:
    """Return what a person would tell two ways apart by."""
    end = way.wire.to if way.wire else ("", 0)
    crossed = walked.crossed(way, len(way.earlier))
    return way.outcome, way.by, way.status, way.flag, way.detail, crossed, end


def _ways(mesh: Mesh, caller: Workload, to: Destination, name: str) -> Iterable[Way]:
    host = to.host if name == "tls" else f"{to.host}:{to.port}"  # SNI has no port (RFC 6066, 3)
    sent, request = sends.sent(name, host, "/")
    for address in to.addresses:
        if address == caller.address:
            continue
        try:
            yield from walk.ways(mesh, caller, Flow((address, to.port), sent, request))
        except LabError as problem:  # a proxy's configuration that cannot be read
            yield Way().ends("unknown", "", "", unknown=str(problem))
