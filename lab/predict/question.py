"""A call as a person types it, and the mesh that it is asked of."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Protocol

from lab.common.errors import BadArguments
from lab.common.suggest import meant
from lab.envoy import sends, services, walk
from lab.envoy.mesh import Mesh, Workload
from lab.envoy.sends import Sent
from lab.envoy.way import Flow, Way

OUTSIDE = "outside"
"""As a caller: a client outside the mesh. A pod of this name is typed with its namespace."""
STRANGER = Workload("a client outside the mesh", "192.0.2.1")
"""Its address is one that documentation uses (RFC 5737)."""
WITHIN = ("", "tls", "mutual-tls")
"""What the client puts around what it sends: nothing, or TLS of its own without or with a
certificate."""


class Source(Protocol):
    """Where a mesh is read from: a cluster, or files."""

    def mesh(self) -> Mesh: ...
    def caller(self, typed: str) -> Workload: ...
    def addresses(self, host: str, port: int, caller: Workload) -> list[str]: ...


@dataclass(frozen=True)
class Question:
    """One call that nobody makes."""

    caller: str
    host: str
    port: int
    sends: str = "http1.1"
    path: str = "/"
    within: str = ""
    """One of WITHIN."""
    name: str = ""
    """What the client calls the host in Host and SNI; empty: as it was typed."""

    @property
    def sent(self) -> Sent:
        """Return what the client writes."""
        name = self.name or self.host
        found = sends.sent(self.sends, name, self.path)
        if not self.within:
            return found
        return sends.within_tls(found, name, certificate=self.within == "mutual-tls")


@dataclass(frozen=True)
class Answer:
    """Each way that the call can take, by the address that it would go to."""

    caller: Workload
    question: Question
    address: str
    ways: list[Way]


def typed(
    caller: str, to: str, sending: str, path: str, within: str = "", name: str = ""
) -> Question:
    """Return the question. Raises BadArguments for what is no HOST:PORT."""
    host, colon, port = to.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or not host:
        raise BadArguments(f"--to {to!r} is not HOST:PORT")
    asked = Question(caller, host, int(port), sending, path, within, name)
    if within and sending == "tls":
        raise BadArguments("--sends tls is TLS already: --within puts TLS around something else")
    sends.sent(sending, host, path)
    return asked


def answers(source: Source, question: Question) -> list[Answer]:
    """Return an answer for each address of the host. Raises BadArguments for one unknown."""
    caller, mesh = source.caller(question.caller), source.mesh()
    bytes_, request = question.sent
    found = source.addresses(question.host, question.port, caller)
    if not found:
        raise BadArguments(f"{question.host} has no address: no pod of it is ready")
    flows = [Flow((one, question.port), bytes_, request) for one in found]
    return [Answer(caller, question, one.to[0], walk.ways(mesh, caller, one)) for one in flows]


def address_in(caller: Workload, host: str, port: int) -> list[str]:
    """Return a host's addresses as the caller's proxy knows them; of an address, itself.

    Raises BadArguments with the hosts that the proxy knows on this port.
    """
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    if caller.proxy is None:
        raise BadArguments(f"{caller.name} has no proxy that knows {host}: type an address")
    namespace = caller.name.partition("/")[0]
    name, found = services.named(caller.proxy, host, port, namespace)
    if not name:
        there = sorted(one for one, number in services.hosts(caller.proxy) if number == port)
        near = meant(host, [one.partition(".")[0] for one in there])
        listed = ", ".join(there[:12]) or "none"
        raise BadArguments(
            f"{caller.name}'s proxy knows no host {host!r} with port {port}: {near}"
            f"with this port there is {listed}"
        )
    if not found:
        raise BadArguments(f"the proxy knows no address of {name}: type one of its pods' addresses")
    return found
