"""A recorded call seen through its planes: what checks look at.

Everything is read again from the stored files; nothing that the run concluded is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.common import untrusted
from lab.common.errors import BadEvidence
from lab.judge.observation import FINAL_HOP, Observation, Tap, _count
from lab.model import call_types
from lab.model.evidence import (
    CLOCK_SLACK,
    CallRecord,
    Evidence,
    PodRecord,
    WorldRecord,
    config_name,
)
from lab.model.failure import Failure
from lab.model.scenario import Call
from lab.packets.pcap import Connection
from lab.planes import Seen, config, graph, log, stats, wire
from lab.planes.wire import Edge

FROM_SIDECAR = "127.0.0.6"
"""Whence a sidecar calls its own application."""


class Case:
    """One failure's evidence as checks ask for it."""

    def __init__(
        self, failure: Failure, evidence: Evidence, folder: Path, *, older: bool = False
    ) -> None:
        """older: connections will do that began before the captures (see `wire.Edge`)."""
        self.failure, self.evidence, self.folder = failure, evidence, folder
        self._older = older
        self._seen: dict[str, Observation | None] = {}
        self._lines: dict[str, list[log.Line]] = {}

    def world(self, name: str) -> WorldRecord | None:
        return self.evidence.worlds.get(name)

    @property
    def wire_refused(self) -> bool:
        """Whether the cluster did not let packets be recorded in any world."""
        worlds = self.evidence.worlds.values()
        return bool(worlds) and all(world.uncaptured for world in worlds)

    def see(self, name: str) -> Observation | None:
        """A call and its planes; None when it was not made, or its answer was lost.

        Raises BadEvidence where a file or a record that it takes is damaged.
        """
        if name not in self._seen:
            try:
                self._seen[name] = self._observe(name)
            except KeyError as missing:
                raise BadEvidence(f"call {name} cannot be seen: there is no {missing}") from None
        return self._seen[name]

    def unseen(self, name: str) -> str:
        """Why nothing can be said of a call, however it went; or nothing."""
        record = self.evidence.call(name.removesuffix(FINAL_HOP))
        if record is None:
            return "the call has no record"
        return f"its answer was lost: {record.lost}" if record.lost else self._clock_was_set(record)

    def _clock_was_set(self, record: CallRecord) -> str:
        """While the call's packets were recorded: its stamps and theirs are then of two clocks."""
        act = (record.world, record.act)
        together = [one for one in self.evidence.calls if (one.world, one.act) == act]
        if any(one.ended < one.started for one in together):
            return f"a call of {record.world} ended before it began: the clock was set meanwhile"
        ahead = [at for one in together for at in (one.clock, one.clock_after) if at]
        by = max(ahead) - min(ahead) if ahead else 0.0
        if by <= CLOCK_SLACK:
            return ""
        return f"the clock was set by {by:.3f} s while packets of {record.world} were recorded"

    @cached_property
    def calls(self) -> dict[str, Call]:
        return self.failure.all_calls

    def _observe(self, name: str) -> Observation | None:
        wanted = name.removesuffix(FINAL_HOP)
        record, call = self.evidence.call(wanted), self.calls[wanted]
        world = self.world(call.world)
        if record is None or world is None or self.unseen(name):
            return None
        if call.source == "api":
            return _to_the_api(call, record)
        if name != wanted:
            return self._final_hop(call, record, world)
        workload, service, port = call.asked
        return self._hop(replace(call, to=workload, service=service, port=port), record, world)

    def _final_hop(self, call: Call, record: CallRecord, world: WorldRecord) -> Observation | None:
        """From the gateway on: its own line of the first hop names the port it went on from."""
        first = self.see(record.name)
        line = first.server_line if first else None
        port = log.port_of((line or {}).get("upstream_local_address"))
        if line is None or port is None:
            return None
        return self._hop(replace(call, source=call.asked[0], service=""), record, world, line)

    def _hop(
        self, call: Call, record: CallRecord, world: WorldRecord, line: log.Line | None = None
    ) -> Observation:
        """One hop; line: the sending proxy's, where the call's own ports do not find it."""
        client_ip = world.pods[call.source].ip
        if record.local_port and not line:
            record = self._as_redirected(call, record, world)
        address = f"{client_ip}:{record.local_port}" if record.local_port else ""
        logged = self._log(world, call.source)
        request_id, until = record.request_id, record.ended + CLOCK_SLACK
        client_line = line or log.find(logged, request_id=request_id, address=address, until=until)
        if client_line:
            client_line = log.passed_again(logged, client_line, until)
        port = log.port_of((client_line or {}).get("upstream_local_address"))
        if not world.pods[call.source].sidecar:
            port = record.local_port or None
        edge = self._between(call, record, world, port)
        wired = self._wire(call, record, world, edge)
        crossed = str(wired.facts.get("client", ""))
        known = f"{client_ip}:{port}" if port else crossed
        peer = str(wired.facts.get("client_at_server") or known)
        if call.source in world.uncaptured and client_line is None:
            peer = address  # it did not pass its own proxy, and kept the port that it had
        logged = self._log(world, call.to)
        server_line = log.find(logged, request_id=request_id, address=peer, until=until)
        if client_line is None and not address:
            # Its application told no port: the packets do, where they are its only call's.
            sent_from = str(wired.facts.get("client") or "")
            client_line = log.sent_from(self._log(world, call.source), sent_from, until)
        of_another = server_line is not None and not _is_of(record, server_line)
        if of_another or (server_line or {}).get("downstream_remote_address") != peer:
            renamed = self._renamed(call, record, world, wired)
            if renamed and (of_another or server_line in (None, renamed)):
                server_line, came = renamed, str(renamed.get("downstream_remote_address"))
                wired = replace(wired, facts={**wired.facts, "client_at_server": came})
        counted = _counted(call, record, world)
        lines, during = (client_line, server_line), (record.started, record.ended)
        of_server = counted.source == log.SERVER
        return Observation(
            call,
            record,
            wired,
            log.server_says(server_line),
            log.client_says(client_line),
            self._config(call, record, world),
            client_line,
            server_line,
            self._left_client(call, record, world),
            counted,
            self._app_line(call, record, world),
            edge,
            graph.mismatch(
                wired, *lines, request_id, during, counted.security if of_server else "unknown"
            ),
        )

    def _as_redirected(self, call: Call, record: CallRecord, world: WorldRecord) -> CallRecord:
        """A call with the port from which it came to its own sidecar, on the pod's loopback."""
        lo = self._capture(world, call.source, "lo", record.act)
        if lo is None or not world.pods[call.source].sidecar:
            return record
        own = (world.pods[call.source].ip, record.local_port)
        _, port = wire.redirected_from(lo, own, _while_made(record))
        return replace(record, local_port=port)

    def _renamed(
        self, call: Call, record: CallRecord, world: WorldRecord, wired: Seen
    ) -> log.Line | None:
        """The answering proxy's line of a connection that came to it from another port.

        Istio redirects all that comes in to one port. Where a pod's conntrack remembers an earlier
        connection from the same address and port, to whichever port, the kernel gives the new one
        another source port on its way from eth0 to the proxy. It is the one line of that moment,
        name and target whose address nobody on eth0 has.
        https://docs.kernel.org/networking/nf_conntrack-sysctl.html
        """
        capture = self._capture(world, call.to, "eth0", record.act)
        sent = wire.senders(capture) if capture else None
        began, target = wired.facts.get("syn_time"), self._asked(call, record, world).target
        if sent is None or not isinstance(began, float):
            return None

        def is_it(line: log.Line) -> bool:
            whose, at = str(line.get("downstream_remote_address")), log.began(line)
            return (
                whose.rpartition(":")[0] == world.pods[call.source].ip
                and whose not in sent
                and at is not None
                and abs(at - began) <= CLOCK_SLACK
                and log.port_of(line.get("downstream_local_address")) == target
                and (line.get("requested_server_name") or "") == (wired.facts.get("sni") or "")
            )

        found = [line for line in self._log(world, call.to) if is_it(line)]
        return found[0] if len(found) == 1 else None

    def _wire(self, call: Call, record: CallRecord, world: WorldRecord, edge: Edge) -> Seen:
        captures = [self._capture(world, pod, "eth0", record.act) for pod in (call.source, call.to)]
        if captures[0] is None or captures[1] is None:
            refused = (world.uncaptured.get(pod) for pod in (call.source, call.to))
            why = next(filter(None, refused), "a pod's eth0 was not captured")
            return Seen("wire", wire.SOURCE, "unknown", why)
        return wire.read(edge, captures[0], captures[1], record.marker.encode())

    def _between(
        self, call: Call, record: CallRecord, world: WorldRecord, port: int | None
    ) -> Edge:
        """By the network-side port where it is known; else by when the call was made."""
        asked = self._asked(call, record, world)
        targets = ((world.pods[call.to].ip, asked.target), (asked.cluster_ip, call.port))
        client = world.pods[call.source].ip
        return Edge(client, targets, port, _while_made(record), record.since, self._older)

    def _asked(self, call: Call, record: CallRecord, world: WorldRecord) -> config.Route:
        name = call.service or call.to
        service = world.services[name]
        first_hop = call.source == self.calls[record.name].source
        target = record.target if first_hop else service.targets[str(call.port)]
        by_address = name == service.cluster_ip
        return config.Route(
            name if by_address else f"{name}.{world.namespace}.svc.cluster.local",
            call.port,
            service.cluster_ip,
            target,
            sends(call),
        )

    def _config(self, call: Call, record: CallRecord, world: WorldRecord) -> Seen:
        views = []
        try:
            for pod in (call.source, call.to):
                view = self._view(world, pod, record) if world.pods[pod].sidecar else None
                if view is None and world.pods[pod].sidecar:
                    why = f"the configuration of {pod} was not recorded"
                    return Seen("config", config.SOURCE, "unknown", why)
                views.append(view)
            said = config.says(views[0], views[1], self._asked(call, record, world))
        except BadEvidence as wrong:
            return Seen("config", config.SOURCE, "unknown", str(wrong))
        held = call.to if views[0] is None else call.source
        file = config_name(world.name, held, record.act, record.step)
        return replace(said, facts={**said.facts, "file": file}) if any(views) else said

    def _view(self, world: WorldRecord, pod: str, record: CallRecord) -> config.View | None:
        path = self.folder / "config" / config_name(world.name, pod, record.act, record.step)
        if not untrusted.is_there(path):
            return None
        view: config.View = untrusted.read_json(path, self.folder)
        return view

    def _left_client(self, call: Call, record: CallRecord, world: WorldRecord) -> bool | None:
        capture = self._capture(world, call.source, "lo", record.act)
        if capture is None or not world.pods[call.source].sidecar:
            return None
        source = (world.pods[call.source].ip, record.local_port)
        return wire.on_loopback(
            capture, record.marker.encode(), source=source if record.local_port else None
        )

    def handed_on(self, seen: Observation) -> Seen:
        """What the server's sidecar sent to its application, on the pod's own loopback."""
        edge, capture = self._to_application(seen), self._captured(seen, seen.call.to, "lo")
        if edge is None or capture is None:
            why = "went nowhere" if seen.server_line else "the server's proxy has no line of it"
            return Seen("wire", wire.SOURCE, "none" if seen.server_line else "unknown", why)
        return wire.read(edge, capture, None, seen.record.marker.encode())

    def _to_application(self, seen: Observation) -> Edge | None:
        address = str((seen.server_line or {}).get("upstream_local_address") or "")
        if not address:
            return None
        world = self.evidence.worlds[seen.record.world]
        target = (world.pods[seen.call.to].ip, self._asked(seen.call, seen.record, world).target)
        port, window = log.port_of(address), _while_made(seen.record)
        return Edge(address.rpartition(":")[0], (target,), port, window, older=self._older)

    def _from_application(self, seen: Observation) -> Edge:
        """By the port that the caller had, which its own proxy's line names too."""
        record, world = seen.record, self.evidence.worlds[seen.record.world]
        logged = log.port_of((seen.client_line or {}).get("downstream_remote_address"))
        port = record.local_port or logged
        there = world.pods[seen.call.source].ip
        return Edge(there, (wire.REDIRECTED,), port, _while_made(record))

    def way(self, name: str) -> tuple[Tap, ...]:
        """The interfaces that a call passes, in its direction, through a gateway too.

        Nothing where `see` sees nothing, and of a call to the API server.
        """
        hops = [self.see(name)]
        if self.calls[name].through:
            hops.append(self.see(name + FINAL_HOP))
        seen = [hop for hop in hops if hop and hop.edge]
        taps = [tap for hop in seen for tap in self._crossing(hop)]
        if seen and self._has_sidecar(seen[0], seen[0].call.source):
            taps.insert(0, self._tap(seen[0], seen[0].call.source, self._from_application(seen[0])))
        if len(seen) == len(hops) and self._has_sidecar(seen[-1], seen[-1].call.to):
            taps.append(self._tap(seen[-1], seen[-1].call.to, self._to_application(seen[-1])))
        return tuple(taps)

    def _has_sidecar(self, seen: Observation, pod: str) -> bool:
        return self.evidence.worlds[seen.record.world].pods[pod].sidecar

    def _crossing(self, seen: Observation) -> Iterator[Tap]:
        """Both ends of the way between two pods."""
        found = None
        for pod in (seen.call.source, seen.call.to):
            capture = self._captured(seen, pod, "eth0")
            found = _found(seen.edge, capture, found)
            yield Tap(pod, "eth0", capture, found, seen.wire)

    def _tap(self, seen: Observation, pod: str, edge: Edge | None) -> Tap:
        """Between an application and its own sidecar; edge: None where the proxy names none."""
        capture = self._captured(seen, pod, "lo")
        if pod == seen.call.to:
            said = self.handed_on(seen)
        elif edge and capture:
            said = wire.read(edge, capture, None, seen.record.marker.encode())
            if seen.record.local_port and _is_not_there(edge, capture):
                why = f"port {edge.client_port} of its application was not redirected to it"
                said = Seen("wire", wire.SOURCE, "none", why)
        else:
            said = Seen("wire", wire.SOURCE, "unknown", f"the lo of {pod} was not captured")
        return Tap(pod, "lo", capture, _found(edge, capture), said)

    def _captured(self, seen: Observation, pod: str, interface: str) -> wire.CaptureFile | None:
        world = self.evidence.worlds[seen.record.world]
        return self._capture(world, pod, interface, seen.record.act)

    def past_client(self, seen: Observation) -> bool:
        """Whether it left a pod past its own sidecar: by the very port that its application had.

        A sidecar takes what it carries off that connection, and makes another one.
        """
        pod, port = self._pods(seen)[0], seen.record.local_port
        own = f"{pod.ip}:{port}" if pod and port else None
        unseen = seen.client_line is None and pod is not None and pod.sidecar
        return unseen and own is not None and seen.wire.facts.get("client") == own

    def past_server(self, seen: Observation) -> bool:
        """Whether an application answered past its own sidecar.

        It answered, and of what would have come from its sidecar nothing is on its loopback. A log
        without a line proves nothing by itself: a line can be lost, and some refusals have none.
        """
        pod = self._pods(seen)[1]
        if seen.server_line is not None or pod is None or not pod.sidecar:
            return False
        answered = seen.app_line is not None or _count(seen.wire.facts.get("marker_in_server"))
        if not answered or seen.record.outcome != "answered":
            return False
        world, record = self.evidence.worlds[seen.record.world], seen.record
        marker = record.marker.encode()
        capture = self._capture(world, seen.call.to, "lo", record.act)
        if capture is None or wire.on_loopback(capture, marker) is not False:
            return False
        window = (record.started - CLOCK_SLACK, record.ended + CLOCK_SLACK)
        target = (pod.ip, self._asked(seen.call, record, world).target)
        inside = wire.read(wire.Edge(FROM_SIDECAR, (target,), None, window), capture, None, marker)
        return inside.security == "none" and not inside.facts

    def flavour(self, seen: Observation) -> str:
        """Of the proxies at both ends: `stock`, or `istio` where one has Istio's own filters."""
        proxies = [pod for pod in self._pods(seen) if pod and pod.sidecar]
        found = {pod.flavour or self.evidence.stack["flavour"] for pod in proxies}
        return next((one for one in ("istio", "") if one in found), "stock")

    def _pods(self, seen: Observation) -> tuple[PodRecord | None, PodRecord | None]:
        pods = self.evidence.worlds[seen.record.world].pods
        return pods.get(seen.call.source), pods.get(seen.call.to)

    def _capture(
        self, world: WorldRecord, pod: str, interface: str, act: str
    ) -> wire.CaptureFile | None:
        found = world.capture(pod, interface, act)
        if found is None:
            return None
        return wire.CaptureFile(self.folder / found.file, found.dropped, found.packets)

    def _log(self, world: WorldRecord, pod: str) -> list[log.Line]:
        path = self.folder / "logs" / f"{world.name}-{pod}.jsonl"
        if path.name not in self._lines:
            self._lines[path.name] = log.parse(self._text(path))
        return self._lines[path.name]

    def _text(self, path: Path) -> str:
        """Of a file that need not be there."""
        return untrusted.read_text(path, self.folder) if untrusted.is_there(path) else ""

    def _app_line(
        self, call: Call, record: CallRecord, world: WorldRecord
    ) -> Mapping[str, Any] | None:
        """The application's own line: the first at its port after the call began, before the next.

        A line that holds another call's marker is another call's.
        """
        target = self._asked(call, record, world).target
        path = self.folder / "logs" / f"{world.name}-{call.to}.app.jsonl"
        others = [
            c for c in self.evidence.calls if c.world == record.world and c.name != record.name
        ]
        next_one = min((c.started for c in others if c.started > record.started), default=1e18)
        markers = [c.marker for c in others]
        for line in log.entries(self._text(path)):
            at = line.get("time")
            if line.get("port") != target or not isinstance(at, int | float):
                continue
            if not record.started <= at < next_one:
                continue
            if not any(marker in str(line.get("request")) for marker in markers):
                return line
        return None


def _counted(call: Call, record: CallRecord, world: WorldRecord) -> Seen:
    """The answering proxy's counters; the calling one's where the other end has no proxy."""
    there, target = world.pods[call.to], record.target
    if not there.sidecar:
        return stats.client_says(record.counters.get(call.source))
    listener = target if there.node_type == "router" else stats.INBOUND
    return stats.server_says(record.counters.get(call.to), listener)


def _is_of(record: CallRecord, line: log.Line) -> bool:
    """Whether a line began while the call was made."""
    first, last = _while_made(record)
    return first <= (log.began(line) or 0.0) <= last


def _while_made(record: CallRecord) -> tuple[float, float]:
    return record.started - CLOCK_SLACK, record.ended + CLOCK_SLACK


def _found(
    edge: Edge | None, capture: wire.CaptureFile | None, at_client: Connection | None = None
) -> Connection | None:
    if edge is None or capture is None:
        return None
    try:
        return wire.find(edge, capture, capture.path.name, at_client)
    except (wire.Unsure, BadEvidence):
        return None


def _is_not_there(edge: Edge, capture: wire.CaptureFile) -> bool:
    """Of a port that the application itself told, a sound capture without it says that much."""
    try:
        return wire.find(edge, capture, capture.path.name) is None
    except (wire.Unsure, BadEvidence):
        return False


def _to_the_api(call: Call, record: CallRecord) -> Observation:
    """A manifest given to the API server: nothing of it crosses between the pods."""
    why = "a request to the API server"
    server, client, meant = (
        Seen(plane, source, "unknown", why)
        for plane, source in (
            ("log", log.SERVER),
            ("log", log.CLIENT),
            ("config", config.SOURCE),
        )
    )
    crossed = Seen("wire", wire.SOURCE, "none", why)
    return Observation(call, record, crossed, server, client, meant, None, None, None)


def sends(call: Call) -> call_types.Sends:
    """Return what the caller's application writes first, as its command says."""
    return call_types.first_bytes(call.command)
