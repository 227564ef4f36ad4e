"""The configuration, walked: how the proxies' whole configuration would carry a call.

As with `config`, it is intent, and no witness. Old evidence has only a part of each configuration,
which `config` reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lab.envoy import sends, walk
from lab.envoy.mesh import Address, Mesh, Workload
from lab.envoy.way import CALLER, CLIENT, GATEWAY, Flow, Step, Way, Wire
from lab.model.sending import Sending
from lab.planes import Fact, Security, Seen
from lab.planes.config import SOURCE


def says(mesh: Mesh, caller: Workload, to: Address, sending: Sending, leg: int = 0) -> Seen:
    """Return how a call would be carried, for each thing that its command can send.

    leg: of a call through gateways, how many of them lie before the connection in question.
    """
    each = [way for flow in flows(to, sending) for way in walk.ways(mesh, caller, flow)]
    crossing = list(dict.fromkeys(crossed(way, leg) for way in each))
    way = each[0]
    places = [step for step in way.steps if step.source]
    own = [step for step in places if step.where in _SENDS_ON[leg > 0]]
    listener = next((step.source for step in own or places), "")
    facts: dict[str, Fact] = {
        "listener": listener.removeprefix("listener "),
        "walk": [_told(step) for step in way.steps],
    }
    if len(crossing) == 1:
        others = f"; so do {len(each) - 1} other ways that it can take" if each[1:] else ""
        return Seen("config", SOURCE, crossing[0], f"{summary(way, leg)}{others}", facts)
    told = dict.fromkeys(f"{crossed(one, leg)}: {summary(one, leg)}" for one in each)
    return Seen("config", SOURCE, "unknown", f"it can be {'; or '.join(told)}", facts)


def flows(to: Address, sending: Sending) -> Iterator[Flow]:
    """Yield the call, once for each thing that it can send first."""
    for name in sending.names:
        sent, request = sends.sent(name, sending.host, sending.path)
        if sending.data:
            sent = replace(sent, data=sending.data)
        if sending.alpn is not None:
            sent = replace(sent, alpn=sending.alpn)
        if request is not None:
            headers = {**request.headers, **sending.headers}
            request = replace(request, method=sending.method, headers=headers)
        yield Flow(to, sent, request)


def crossed(way: Way, leg: int = 0) -> Security:
    """Return what crosses the network on one leg of a way."""
    legs = _legs(way)
    if leg >= len(legs):
        return "unknown" if way.outcome == "unknown" else "none"
    wire = legs[leg]
    if way.outcome == "unknown" and wire.tls is not None and leg == len(legs) - 1:
        return "unknown"  # who the ends are depends on what is not known
    if wire.tls is None and not wire.sent.data and way.outcome != "arrives":
        return "none"  # else the server may speak first, and be read
    return wire.security


def _legs(way: Way) -> tuple[Wire, ...]:
    return (*way.earlier, *((way.wire,) if way.wire else ()))


def summary(way: Way, leg: int = 0) -> str:
    """Return in a sentence what decided how a call crosses, and how it ends."""
    by = _SENDS_ON[leg > 0]
    leaving = (one.what for one in reversed(way.steps) if one.where in by)
    leaves = next(leaving, "") if leg < len(_legs(way)) else ""
    return "; ".join(filter(None, (leaves, end(way))))


_SENDS_ON = {False: (CLIENT, CALLER), True: (GATEWAY,)}
"""Whether a gateway lies before a leg -> who sends it there."""


def end(way: Way) -> str:
    """Return how a way ends: `refused by the server's proxy (NR)`."""
    match way.outcome:
        case "unknown":
            return f"then it is unknown: {way.unknown}"
        case "arrives":
            return f"the application is given {way.detail}"
        case "hangs":
            return f"it hangs in the {way.by}: {way.detail}"
        case outcome:
            flag = f" ({way.flag})" if way.flag not in ("", "-") else ""
            status = f" with {way.status}" if way.status else ""
            return f"{outcome.removesuffix(' by a proxy')} by the {way.by}{status}{flag}"


def _told(step: Step) -> str:
    return f"{step.where}: {step.what}" + (f" ({step.source})" if step.source else "")
