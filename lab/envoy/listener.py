"""What a proxy does with a connection before it reads a request: listener, inspectors, chain.

An intercepted connection comes to one listener, which hands it to the listener of the address that
it was going to: of exactly this address and port, else of 0.0.0.0 and the port. Where there is none
it stays with the first (Envoy's architecture overview, original destination filter).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lab.envoy import first_bytes, matching
from lab.envoy.dump import Proxy
from lab.envoy.first_bytes import FirstBytes
from lab.envoy.matching import RAW, TLS, Chain, Detected, Unreadable

Part = Mapping[str, Any]
_DEFAULT_TIMEOUT = "15s"
"""Of listener filters, where a listener does not say (Envoy's API reference, Listener)."""


@dataclass(frozen=True)
class Waits:
    """The proxy waits for bytes that do not come, and what happens then."""

    inspector: Literal["tls", "http"]
    seconds: float | None
    """None: without end."""
    goes_on: bool
    """Whether the connection is carried after the time, as what is known by then; else closed."""


@dataclass(frozen=True)
class Taken:
    """A connection that a listener has taken."""

    place: str
    """Which listener, and which of its filter chains, as Envoy's configuration names them."""
    chain: Chain | None
    """None: no chain takes it, and it is closed (response flag NR)."""
    waited: Waits | None = None
    missed: str = ""
    """Where the default chain takes it, or none: what the others wanted."""


def find(proxy: Proxy, address: str, port: int) -> Part | None:
    """Return the listener that an intercepted connection to an address is handed to."""
    listeners = proxy.listeners
    exact = listeners.get((address, port)) or listeners.get(("0.0.0.0", port))
    return exact or proxy.outbound


def at(proxy: Proxy, port: int, address: str = "0.0.0.0") -> Part | None:
    """Return the listener that is bound to a port, of an address or of every address."""
    return proxy.listeners.get((address, port)) or proxy.listeners.get(("0.0.0.0", port))


def take(listener: Part, address: str, port: int, sent: FirstBytes) -> Taken:
    """Return which chain takes a connection, by its first bytes.

    Raises Unreadable where that hangs on something that is not modelled.
    """
    seen, waited = _inspected(listener, Detected(address, port), sent)
    name = f"listener {listener.get('name', '')}"
    if waited and not waited.goes_on:
        return Taken(name, None, waited)
    chains, default = listener.get("filter_chains") or (), listener.get("default_filter_chain")
    chain = matching.chosen(chains, default, seen)
    if chain is not None:
        number = next((at for at, one in enumerate(chains) if one is chain), None)
        which = "default_filter_chain" if number is None else f"filter_chains[{number}]"
        name = f"{name}, {which}"
    other = chain is None or chain is default
    return Taken(name, chain, waited, matching.missed(chains, seen) if other else "")


def _inspected(listener: Part, seen: Detected, sent: FirstBytes) -> tuple[Detected, Waits | None]:
    """Run the listener's inspectors in their order."""
    for one in listener.get("listener_filters") or ():
        kind = str(one["name"]).rpartition(".")[2]
        if kind not in _INSPECTORS or _is_disabled(one.get("filter_disabled"), seen.port):
            continue
        found = _INSPECTORS[kind](seen, sent)
        if found is None:
            return seen, _wait(listener, "tls" if kind == "tls_inspector" else "http")
        seen = found
    return seen, None


def _inspect_tls(seen: Detected, sent: FirstBytes) -> Detected | None:
    if not sent.data or sent.tls is None:
        return None
    if not sent.tls:
        return seen
    return Detected(seen.address, seen.port, TLS, sent.server_name, sent.alpn, seen.local)


def _inspect_http(seen: Detected, sent: FirstBytes) -> Detected | None:
    if seen.transport != RAW:
        return seen
    found = first_bytes.http(sent.data) if sent.data else "waits"
    if found == "waits":
        return None
    protocols = () if found == "no http" else (found,)
    return Detected(seen.address, seen.port, RAW, "", protocols, seen.local)


_INSPECTORS = {"tls_inspector": _inspect_tls, "http_inspector": _inspect_http}


def _wait(listener: Part, inspector: Literal["tls", "http"]) -> Waits:
    seconds = float(str(listener.get("listener_filters_timeout", _DEFAULT_TIMEOUT)).rstrip("s"))
    goes_on = bool(listener.get("continue_on_listener_filters_timeout"))
    return Waits(inspector, seconds or None, goes_on and seconds > 0)


def _is_disabled(predicate: Part | None, port: int) -> bool:
    """Return whether a filter is switched off for a destination port (filter_disabled)."""
    if not predicate:
        return False
    if predicate.get("any_match"):
        return True
    if "not_match" in predicate:
        return not _is_disabled(predicate["not_match"], port)
    if "or_match" in predicate:
        return any(_is_disabled(one, port) for one in predicate["or_match"]["rules"])
    if "and_match" in predicate:
        return all(_is_disabled(one, port) for one in predicate["and_match"]["rules"])
    if "destination_port_range" in predicate:
        ports = predicate["destination_port_range"]
        return int(ports.get("start", 0)) <= port < int(ports["end"])
    raise Unreadable(f"a listener filter is disabled by {min(predicate)}")
