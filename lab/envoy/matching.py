"""Which filter chain of a listener takes a connection.

Envoy looks at one property after the other: destination port, destination address, server name,
transport protocol, application protocol, then the source. At each it keeps the chains of the most
specific value that fits, and never goes back (FilterChainMatch, Envoy's API reference). Where the
last step leaves none, the listener's default chain counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.envoy import addresses

Chain = Mapping[str, Any]
RAW, TLS = "raw_buffer", "tls"
_UNREAD = ("direct_source_prefix_ranges", "source_prefix_ranges", "source_ports", "address_suffix")


@dataclass(frozen=True)
class Detected:
    """What is known of a connection when its chain is chosen."""

    address: str
    """The destination that was asked for, before any redirection."""
    port: int
    transport: str = RAW
    server_name: str = ""
    protocols: tuple[str, ...] = ()
    """Application protocols: as ALPN offers them, or as an inspector recognized one."""
    local: bool = False
    """Whether it comes from the same host: Envoy's source type."""


class Unreadable(Exception):
    """A chain is matched by something that is not modelled; the message names it."""


def chosen(chains: Sequence[Chain], default: Chain | None, seen: Detected) -> Chain | None:
    """Return the chain that takes the connection; None: there is none, it is closed.

    Raises Unreadable where a chain that could take it is matched by what is not modelled.
    """
    left = _left(chains, seen)[0]
    for chain in left:
        if unread := [name for name in _UNREAD if _match(chain).get(name)]:
            raise Unreadable(f"chain {chain.get('name')!r} is matched by {unread[0]}")
    return left[0] if left else default


def missed(chains: Sequence[Chain], seen: Detected) -> str:
    """Return what the last chains wanted that were left, where none takes a connection.

    Empty where there was none to begin with, or where one takes it.
    """
    left, before, step = _left(chains, seen)
    if left or not before or step is None or step not in _WANTED:
        return ""
    key, label, told, has = _WANTED[step]
    wanted = dict.fromkeys(word for one in before for word in told(_match(one).get(key)))
    return f"the chains for it want {label}{' or '.join(wanted)}, and this has {has(seen)}"


def _left(chains: Sequence[Chain], seen: Detected) -> tuple[list[Chain], list[Chain], Step | None]:
    """Return the chains that are left; if none: those before the step that left none, and it."""
    left = [*chains]
    for step in _STEPS:
        fitting = step(left, seen)
        if not fitting:
            return [], left, step
        left = fitting
    return left, left, None


def _match(chain: Chain) -> Mapping[str, Any]:
    return chain.get("filter_chain_match") or {}


def _exact(left: Sequence[Chain], value: object, of: Callable[[Chain], object]) -> list[Chain]:
    """Keep the chains of this value; where there is none, those that ask for none."""
    found = [chain for chain in left if of(chain) == value]
    return found or [chain for chain in left if not of(chain)]


def _by_port(left: list[Chain], seen: Detected) -> list[Chain]:
    return _exact(left, seen.port, lambda chain: int(_match(chain).get("destination_port") or 0))


def _by_address(left: list[Chain], seen: Detected) -> list[Chain]:
    address = addresses.address(seen.address)
    fitting: dict[int, list[Chain]] = {}
    for chain in left:
        ranges = _match(chain).get("prefix_ranges") or []
        lengths = [network.prefixlen for one in ranges if address in (network := _range(one))]
        if lengths or not ranges:
            fitting.setdefault(max(lengths, default=-1), []).append(chain)
    return fitting[max(fitting)] if fitting else []


def _range(one: Mapping[str, Any]) -> addresses.Network:
    return addresses.network(f"{one['address_prefix']}/{one.get('prefix_len', 0)}")


def _by_server_name(left: list[Chain], seen: Detected) -> list[Chain]:
    name = seen.server_name.lower()
    labels = name.split(".")
    wanted = [name, *("*." + ".".join(labels[at:]) for at in range(1, len(labels)))] if name else []
    for one in wanted:
        if found := [chain for chain in left if one in (_match(chain).get("server_names") or [])]:
            return found
    return [chain for chain in left if not _match(chain).get("server_names")]


def _by_transport(left: list[Chain], seen: Detected) -> list[Chain]:
    return _exact(left, seen.transport, lambda chain: _match(chain).get("transport_protocol", ""))


def _by_protocol(left: list[Chain], seen: Detected) -> list[Chain]:
    for one in seen.protocols:
        if found := [
            chain for chain in left if one in (_match(chain).get("application_protocols") or [])
        ]:
            return found
    return [chain for chain in left if not _match(chain).get("application_protocols")]


def _by_source(left: list[Chain], seen: Detected) -> list[Chain]:
    kind = "SAME_IP_OR_LOOPBACK" if seen.local else "EXTERNAL"
    found = [chain for chain in left if _match(chain).get("source_type", "ANY") == kind]
    return found or [chain for chain in left if _match(chain).get("source_type", "ANY") == "ANY"]


Step = Callable[[list[Chain], Detected], list[Chain]]
_STEPS: tuple[Step, ...] = (
    _by_port,
    _by_address,
    _by_server_name,
    _by_transport,
    _by_protocol,
    _by_source,
)
_WANTED: Mapping[Step, tuple[str, str, Callable[[Any], Iterable[str]], Callable[[Detected], str]]]
_WANTED = {
    _by_server_name: (
        "server_names",
        "SNI ",
        lambda names: names or (),
        lambda seen: seen.server_name or "none",
    ),
    _by_transport: (
        "transport_protocol",
        "",
        lambda kind: ["TLS" if kind == TLS else "no TLS"],
        lambda seen: "TLS" if seen.transport == TLS else "no TLS",
    ),
    _by_protocol: (
        "application_protocols",
        "protocol ",
        lambda names: names or (),
        lambda seen: " and ".join(seen.protocols) or "none that is recognized",
    ),
}
"""Step -> the property that it looks at, what it is called, what a chain wants of it, and what a
connection has."""
