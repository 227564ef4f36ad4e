"""One call with all that was recorded of it: lines, packets, and the application's own word.

They are joined by ports, by the request's id, and by the sequence number of a connection's SYN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from lab.envoy.mesh import address_text
from lab.packets.pcap import Connection
from lab.packets.udp import Datagram
from lab.planes import log
from lab.truth_table.axes import PAYLOADS
from lab.truth_table.recorded import Call, Line, Pod, Recorded

RENAMED_WITHIN = 0.25
"""Seconds between a connection's SYN and the time of its line."""
SAID_WITHIN = 1.0
"""Seconds before a call's beginning and after its end in which the application may see it."""


def join(recorded: Recorded, call: Call) -> Joined:
    """Return a call with what was recorded of it.

    A driver with connections of its own looks by one of them whether there is a server, and asks by
    another: the one that asked is the call's, or where none did, the last look but one, since the
    call's end may cut the last off. They went to a Service that is called once from this pod, so
    destination and time tell them.
    """
    every = opened(recorded, call)
    asked = [one for one in every if one.asked]
    return (asked or every[:-1] or every or [Joined(recorded, call)])[-1]


def opened(recorded: Recorded, call: Call) -> list[Joined]:
    """Return the connections that a driver opened for a call, each with what was recorded of it.

    Empty where the call's one connection is from the port that it was given.
    """
    if not PAYLOADS[call.cell.sends].pooled:
        return []
    return [
        Joined(recorded, replace(call, told={**call.told, "source": port}))
        for port in _ports(recorded, call)
    ]


def _ports(recorded: Recorded, call: Call) -> list[str]:
    """Return from which ports a pod called where only this call goes, in their order."""
    to = (call.asked.address, call.asked.port)
    if call.caller.has_sidecar:
        lines = recorded.lines(call.caller, "downstream_local_address").get(address_text(to), [])
        found = [(log.began(one) or 0.0, str(one["downstream_remote_address"])) for one in lines]
    else:
        each = recorded.connections(call.caller).values()
        found = [(one.began, address_text(one.client)) for own in each for one in own
                 if one.server == to]  # fmt: skip
    first, last = call.connecting - 0.05, call.ended + 0.05
    return [own.rpartition(":")[2] for began, own in sorted(found) if first <= began <= last]


@dataclass
class Joined:
    """One call with all that was recorded of it."""

    recorded: Recorded
    call: Call

    @property
    def told(self) -> Mapping[str, Any]:
        return self.call.told

    @cached_property
    def client_line(self) -> Line | None:
        """Return the line of the caller's proxy."""
        if not self.call.caller.has_sidecar:
            return None
        found = self.recorded.lines(self.call.caller, "downstream_remote_address")
        return _last(found.get(self.call.source, []))

    @cached_property
    def gateway_line(self) -> Line | None:
        """Return the line of the gateway's proxy."""
        gateway, asked = self.call.gateway, self.call.asked
        if gateway is None:
            return None
        sidecars = log.field_text(self.client_line or {}, "upstream_local_address")
        source = sidecars if self.call.caller.has_sidecar else self.call.source
        found = self.recorded.lines(gateway, "downstream_remote_address").get(source, [])
        here = f"{gateway.ip}:{asked.port}"
        return _last([one for one in found if one.get("downstream_local_address") == here])

    @property
    def sender(self) -> Pod:
        """Return the pod from which the server's connection comes."""
        return self.call.gateway or self.call.caller

    @property
    def sender_line(self) -> Line | None:
        """Return the line of the proxy from which it comes."""
        return self.gateway_line if self.call.gateway else self.client_line

    @cached_property
    def connections(self) -> list[Connection]:
        """Return the connections by which the call came to the server, or was tried to."""
        return self._sent_by(self.sender, self.sender_line)

    @cached_property
    def to_gateway(self) -> list[Connection]:
        """Return the connections by which it came to the gateway, where there is one."""
        return self._sent_by(self.call.caller, self.client_line) if self.call.gateway else []

    def _sent_by(self, pod: Pod, line: Line | None) -> list[Connection]:
        """Return a pod's connections for the call: by its proxy's line, else by its own port."""
        there = self.recorded.connections(pod)
        if not pod.has_sidecar:
            return there.get(self.call.source, [])[-1:]
        line = line or {}
        to = log.field_text(line, "upstream_host")
        own = there.get(log.field_text(line, "upstream_local_address"), [])
        # A proxy's ports come from the kernel, which gives one again for another destination.
        found = [
            one for one in own if address_text(one.server) == to and one.began < self.call.ended
        ]
        return found[-1:] or [one for one in self._unclaimed(pod) if address_text(one.server) == to]

    def _unclaimed(self, pod: Pod) -> list[Connection]:
        """Return connections of a pod's proxy in the time of the call that no line names."""
        there, named = self.recorded.connections(pod), self.recorded.claimed(pod)
        first, last = self.call.connecting - 0.05, self.call.ended + 0.05
        return [
            one
            for address, each in there.items()
            for one in each
            if (address, address_text(one.server)) not in named and first <= one.began <= last
        ]

    @property
    def unexplained(self) -> list[Connection]:
        """Return connections that went where the call goes, and that no line names."""
        asked = self.call.asked
        there = {(self.call.server.ip, asked.target)}
        if self.call.gateway is None:
            there.add((asked.address, asked.port))
        return [one for one in self._unclaimed(self.sender) if one.server in there]

    @property
    def arrived_from(self) -> list[str]:
        """Return the client's address of each connection, as the server's pod has it.

        A node's conntrack gives a connection another source port where it remembers one of the same
        addresses. The sequence number of its SYN stays (lab/planes/wire.py has the same).
        """
        there = self.recorded.by_first_number(self.call.server)
        starts = [one.halves["client"].start for one in self.connections]
        arrived = [there.get(start) if start is not None else None for start in starts]
        return [
            address_text((at_server or at_client).client)
            for at_client, at_server in zip(self.connections, arrived, strict=True)
        ]

    @cached_property
    def server_line(self) -> Line | None:
        """Return the line of the server's proxy."""
        if not self.call.server.has_sidecar or not self.connections:
            return None
        here = f"{self.call.server.ip}:{self.call.asked.target}"
        there = self.recorded.lines(self.call.server, "downstream_local_address").get(here, [])
        # Of several attempts, the last need not be the one that came through.
        found = [
            one
            for one in there
            if one.get("downstream_remote_address") in self.arrived_from and self._in_time(one)
        ]
        by_id = [
            (log.untraced(one.get("request_id")), one)
            for one in found or self._renamed(there, here)
        ]
        wanted, every = log.untraced(self._request_id), self.recorded.request_ids
        ours = [one for one in there if log.untraced(one.get("request_id")) == wanted]
        # A connection of a pool has lines of other calls' requests.
        return _last(ours or [one for name, one in by_id if name not in every])

    def _in_time(self, line: Line) -> bool:
        """Return whether a line is of these connections, and of none that had their port before.

        A connection on which nothing is sent has no line of its own.
        """
        first = min(one.began for one in self.connections)
        return first - RENAMED_WITHIN <= (log.began(line) or 0.0) <= self.call.ended + 0.05

    @property
    def _request_id(self) -> object:
        """Return the id of the call's request: a gateway gives those from outside another.

        It is an edge proxy, which trusts no id (Envoy's HTTP header sanitizing).
        """
        return (self.gateway_line or {}).get("request_id") or self.told["request_id"]

    def _renamed(self, there: Sequence[Line], here: str) -> list[Line]:
        """Return the one line of a connection that had another port behind the pod's own firewall.

        What comes to a pod is redirected to one port. A proxy that calls two ports of a pod from
        the same port of its own, one soon after the other, gets another port for the second. Such
        a line names a port that is in no packet. It began when the connection did: of connections
        without a line the nearest is its own. One that ended in its handshake has no line.
        """
        captured = self.recorded.connections(self.call.server)
        every = [c for each in captured.values() for c in each if address_text(c.server) == here]
        addresses = {address_text(one.client) for one in every}
        lined = {log.field_text(one, "downstream_remote_address") for one in there}
        without = [one for one in every if address_text(one.client) not in lined]
        found = [
            line
            for line in there
            if log.field_text(line, "downstream_remote_address") not in addresses
            and (owner := _nearest(line, without)) is not None
            and address_text(owner.client) in self.arrived_from
        ]
        return found if len(found) == 1 else []

    @property
    def datagrams(self) -> list[Datagram]:
        """Return the datagrams that left the caller's pod from the call's port."""
        there = self.recorded.datagrams(self.call.caller)
        return [one for one in there if address_text(one.source) == self.call.source]

    @property
    def asked(self) -> bool:
        """Return whether it was on this connection that the application was asked."""
        said = self.application
        if said is None or self.server_line is None:
            return False
        return log.field_text(self.server_line, "upstream_local_address") == str(said["peer"])

    @cached_property
    def application(self) -> Line | None:
        """Return what the application said of the call's connection."""
        marked = self.recorded.marked(self.call.server).get(str(self.told["marker"]), [])
        peers = {log.field_text(self.server_line or {}, "upstream_local_address")}
        if not self.call.server.has_sidecar or self.call.cell.server == "excluded":
            peers |= {*self.arrived_from}
        port = self.call.asked.target
        said = [] if marked else self.recorded.said(self.call.server)
        known = [one for one in said if one["peer"] in peers - {""} and one["port"] == port]
        return marked[0] if marked else self._nearest(known)

    def _nearest(self, said: Sequence[Line]) -> Line | None:
        """Return what the application said in the time of the call.

        Its proxy's ports come from the kernel, which gives one again. A busy caller is late to note
        when it began.
        """
        began = float(self.told["started"])
        apart = {id(one): abs(float(one.get("time") or 0.0) - began) for one in said}
        near = [one for one in said if apart[id(one)] <= SAID_WITHIN + self.call.ended - began]
        return min(near, key=lambda one: apart[id(one)], default=None)


def _nearest(line: Line, connections: Sequence[Connection]) -> Connection | None:
    """Return the connection from a line's host that began when the line did."""
    host, _, _ = log.field_text(line, "downstream_remote_address").rpartition(":")
    apart = {
        id(one): (log.began(line) or 0.0) - one.began
        for one in connections
        if one.client[0] == host
    }
    near = [one for one in connections if -0.01 <= apart.get(id(one), -1.0) <= RENAMED_WITHIN]
    return min(near, key=lambda one: abs(apart[id(one)]), default=None)


def _last(lines: Sequence[Line]) -> Line | None:
    return lines[-1] if lines else None
