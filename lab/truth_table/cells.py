"""A cell of the truth table: one combination, by the value of each axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

from lab.truth_table.axes import GATEWAYS, PAYLOADS, UNSET, GatewayServer


@dataclass(frozen=True, order=True)
class Cell:
    """One call to be made. The defaults are the core of the table."""

    sends: str
    port_name: str
    policy: str
    caller: str
    address: str = "clusterip"
    rule: str = "none"
    port_policy: str = "none"
    server: str = "sidecar"
    number: str = "ordinary"
    outbound: str = "allow-any"
    gateway: str = "none"

    @cached_property
    def key(self) -> str:
        """Return its name: the four axes of the core, then each value that leaves the core."""
        core = "/".join((self.sends, self.port_name, self.policy, self.caller))
        left = [f"{name}={value}" for name, value in self._departures()]
        return "/".join([core, *left])

    def _departures(self) -> Iterator[tuple[str, str]]:
        for name, default in DEFAULTS.items():
            if (value := getattr(self, name)) != default:
                yield name, value

    @cached_property
    def leaves(self) -> str:
        """Return the axis on which it leaves the core; empty for a cell of the core."""
        unset = "policy" if self.policy == UNSET else ""
        return next((name for name, _ in self._departures()), unset)

    @property
    def gateway_server(self) -> GatewayServer | None:
        """Return what is in front of the server; None: nothing is."""
        return GATEWAYS[self.gateway]

    @property
    def server_first(self) -> bool:
        return PAYLOADS[self.sends].server_first

    @property
    def configuration(self) -> Cell:
        """Return what decides of Services, policies and rules: all but what is sent, and by whom.

        Cells of one configuration share a Service, and proxies share its connections. A server that
        speaks first has a Service of its own, and so have a database, and what is sent by UDP. So
        has an upgrade to WebSocket: over HTTP/2 the server's proxy resets its connection, and with
        it the requests of others. A pod's own address belongs to a Service with a ClusterIP.
        """
        sent = PAYLOADS[self.sends]
        alone = sent.server_first or sent.udp or self.sends == "websocket"
        sends = sent.database or (self.sends if alone else "")
        address = "clusterip" if self.address == "pod" else self.address
        return replace(self, sends=sends, caller="", address=address, outbound="allow-any")


DEFAULTS = {
    field.name: str(field.default) for field in fields(Cell) if isinstance(field.default, str)
}
