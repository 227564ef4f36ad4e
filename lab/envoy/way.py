"""A call, and a way that it can take: each decision, what crosses the network, how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from lab.envoy import first_bytes
from lab.envoy.chains import Closes
from lab.envoy.first_bytes import FirstBytes
from lab.envoy.listener import Taken, Waits
from lab.envoy.mesh import Address, Workload
from lab.envoy.requests import Awaits, Responds
from lab.envoy.routes import Request
from lab.envoy.upstream import Tls

Outcome = Literal["arrives", "refused", "answered by a proxy", "redirected", "hangs", "unknown"]
CLIENT, NODE, SERVER = "client's proxy", "node", "server's proxy"
GATEWAY = "gateway"
"""Its proxy: it is all that its pod runs."""
CALLER = "caller"
"""Its pod, where no proxy takes the call."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A call as an application makes it."""

    to: Address
    sent: FirstBytes
    request: Request | None = None
    uid: int = 0
    """Of the calling process: the proxy's own is not intercepted."""


StepKind = Literal[
    "no sidecar",  # of the pod that it is at
    "left out",  # that pod's sidecar does not take the connection
    "node",
    "chain",
    "decrypts",
    "route",
    "cluster",  # it is sent on, or cannot be
    "refuses",
]


class Step(NamedTuple):
    """One decision on the way."""

    where: str
    kind: StepKind
    what: str
    source: str = ""
    """The part of that proxy's configuration which decided it."""

    @property
    def cluster(self) -> str:
        """Return the name of the cluster that sends it on; empty: the step is another."""
        return self.source.removeprefix("cluster ") if self.kind == "cluster" else ""


class Wire(NamedTuple):
    """What a connection carries from one pod to another."""

    to: Address
    sent: FirstBytes
    """What the caller's application wrote, or its proxy in its place."""
    tls: Tls | None = None
    """Of the caller's proxy, around it."""
    identity: str = ""
    """What that TLS shows: a SPIFFE ID."""
    request: Request | None = None

    @property
    def security(self) -> Literal["plaintext", "tls", "mutual_tls", "mixed"]:
        if self.tls is None:
            return "tls" if self.sent.tls else "mixed" if self.sent.begins_tls else "plaintext"
        return "mutual_tls" if self.identity else "tls"


class Way(NamedTuple):
    """One way that a call can take, to its end."""

    steps: tuple[Step, ...] = ()
    outcome: Outcome = "unknown"
    by: str = ""
    """Who ends it: a proxy, or the application."""
    status: int = 0
    flag: str = ""
    detail: str = ""
    wire: Wire | None = None
    """What crosses the network, last; None: nothing does."""
    earlier: tuple[Wire, ...] = ()
    """What crosses it before, to each gateway on the way."""
    share: float = 1.0
    unknown: str = ""
    """What is not known, where the outcome is."""

    def then(self, where: str, kind: StepKind, what: str, source: str = "") -> Way:
        return self._replace(steps=(*self.steps, Step(where, kind, what, source)))

    def ends(self, outcome: Outcome, by: str, detail: str, **more: Any) -> Way:
        return self._replace(outcome=outcome, by=by, detail=detail, **more)


def sending(caller: Workload) -> str:
    """Name the proxy that sends on what a workload's own proxy has taken."""
    return GATEWAY if caller.is_gateway else CLIENT


def chain_told(taken: Taken) -> str:
    """Say which filter chain takes a connection, and by what."""
    missed = f": {taken.missed}" if taken.missed else ""
    if taken.chain is None:
        return _awaited(taken.waited) if taken.waited else f"no filter chain takes it{missed}"
    match = taken.chain.get("filter_chain_match") or {}
    said = [_MATCHED[key](match[key]) for key in _MATCHED if key in match]
    name = f" {taken.chain['name']}" if taken.chain.get("name") else ""
    by = ", ".join(said) or taken.missed or "it is for what no other chain takes"
    return f"filter chain{name} takes it: {by}"


def _awaited(waits: Waits) -> str:
    end = "no timeout ends it" if waits.seconds is None else f"for {waits.seconds:.0f} s"
    return f"the client's first bytes are awaited: {_NEEDS[waits.inspector]}; {end}"


_NEEDS = {
    "tls": "the TLS inspector needs five bytes, and of TLS the whole ClientHello",
    "http": "the HTTP inspector needs a whole request line, or bytes that begin no method",
}


_MATCHED: dict[str, Callable[[Any], str]] = {
    "destination_port": lambda port: f"port {port}",
    "prefix_ranges": lambda ranges: (
        "address " + " or ".join(one["address_prefix"] for one in ranges)
    ),
    "server_names": lambda names: f"SNI {' or '.join(names)}",
    "transport_protocol": lambda kind: "TLS" if kind == "tls" else "no TLS",
    "application_protocols": lambda names: f"protocol {' or '.join(names)}",
}


def stopped(way: Way, taken: Taken, who: str) -> Way | None:
    """Return the end of a way on which a proxy waits, or finds no chain."""
    waits = taken.waited
    if waits and not waits.goes_on:
        what = f"its {waits.inspector} inspector waits for bytes"
        if waits.seconds is None:
            return way.ends("hangs", who, what)
        return way.ends("refused", who, f"{what}, and closes after {waits.seconds:.0f} s")
    if taken.chain is None:
        return way.ends("refused", who, "filter_chain_not_found", flag="NR")
    return None


def responded(way: Way, answer: Responds | Awaits | Closes, who: str) -> Way:
    """Return the end of a way on which a proxy answers, waits for a request, or closes."""
    if isinstance(answer, Closes):
        return way.ends("refused", who, answer.detail)
    if isinstance(answer, Awaits):
        return way.ends("hangs", who, "it reads requests, and waits for a whole one")
    outcome: Outcome = "redirected" if answer.to else "answered by a proxy"
    detail = f"{answer.detail} to {answer.to}" if answer.to else answer.detail
    return way.ends(outcome, who, detail, status=answer.status, flag=answer.flag)


def arriving(wire: Wire) -> str:
    """Name what an application is given."""
    return "TLS" if wire.tls is not None else first_bytes.named(wire.sent)
