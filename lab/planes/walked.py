"""The configuration, walked: how the proxies' whole configuration would carry a call.

As with `config`, it is intent, and no witness. Old evidence has only a part of each configuration,
which `config` reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lab.envoy import sends, walk
from lab.envoy.mesh import Address, Mesh, Workload
from lab.envoy.way import CLIENT, Flow, Step, Way
from lab.model.sending import Sending
from lab.planes import Fact, Security, Seen
from lab.planes.config import SOURCE


def says(mesh: Mesh, caller: Workload, to: Address, sending: Sending) -> Seen:
    """Return how a call would be carried, for each thing that its command can send."""
    found = {one.sent: walk.ways(mesh, caller, one) for one in flows(to, sending)}
    each = [way for ways in found.values() for way in ways]
    crossing = list(dict.fromkeys(crossed(way) for way in each))
    way = each[0]
    listener = next((step.source for step in way.steps if step.where == CLIENT), "")
    facts: dict[str, Fact] = {
        "listener": listener.removeprefix("listener "),
        "walk": [_told(step) for step in way.steps],
    }
    if len(crossing) == 1:
        others = f"; so do {len(each) - 1} other ways that it can take" if each[1:] else ""
        return Seen("config", SOURCE, crossing[0], f"{summary(way)}{others}", facts)
    alternatives = "; or ".join(dict.fromkeys(f"{crossed(one)}: {summary(one)}" for one in each))
    return Seen("config", SOURCE, "unknown", f"it can be {alternatives}", facts)


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


def crossed(way: Way) -> Security:
    """Return what crosses the network on a way."""
    wire = way.wire
    if wire is None:
        return "unknown" if way.outcome == "unknown" else "none"
    if way.outcome == "unknown" and wire.tls is not None:
        return "unknown"  # who the ends are depends on what is not known
    if wire.tls is None and not wire.sent.data:
        return "none"
    return wire.security


def summary(way: Way) -> str:
    """Return in a sentence what decided how a call crosses, and how it ends."""
    leaving = (one.what for one in reversed(way.steps) if one.where in (CLIENT, "caller"))
    leaves = next(leaving, "") if way.wire else ""
    return "; ".join(filter(None, (leaves, _end(way))))


def _end(way: Way) -> str:
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
