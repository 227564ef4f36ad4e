"""A prediction in words: each step, with the part of the configuration that decided it."""

from __future__ import annotations

from lab.envoy.mesh import address_text
from lab.envoy.way import Way, Wire
from lab.predict.question import Answer


def text(answer: Answer) -> str:
    """Return the whole answer of one address, for a terminal."""
    asked = answer.question
    to = f"{asked.host}:{asked.port}"
    at = f" ({answer.address})" if answer.address != asked.host else ""
    within = f" within {_WITHIN[asked.within]}" if asked.within else ""
    lines = [f"{answer.caller.name} sends {asked.sends}{within} to {to}{at}"]
    for number, way in enumerate(answer.ways, 1):
        if len(answer.ways) > 1:
            lines.append(f"\nway {number} of {len(answer.ways)}, {way.share:.0%} of the calls")
        lines += ["", way_text(way)]
    return "\n".join(lines)


def way_text(way: Way) -> str:
    """Return one way: its steps, its end, and what crosses the network."""
    legs = [_to_gateway(one) for one in way.earlier]
    return "\n".join([*_steps(way), "", _end(way), *legs, _last_leg(way)])


def _steps(way: Way) -> list[str]:
    return [
        f"  {number}. {one.where}: {one.what}" + (f"\n       {one.source}" if one.source else "")
        for number, one in enumerate(way.steps, 1)
    ]


def _end(way: Way) -> str:
    status = f" with status {way.status}" if way.status else ""
    flag = f", response flag {way.flag}" if way.flag not in ("", "-") else ""
    match way.outcome:
        case "unknown":
            return f"Unknown: {way.unknown}"
        case "arrives":
            return f"The call arrives at the application in {way.by}, which is given {way.detail}."
        case "hangs":
            return f"The call hangs in the {way.by}: {way.detail}."
        case "redirected":
            return f"The {way.by} redirects the call{status}: {way.detail}."
        case "answered by a proxy":
            return f"The {way.by} answers by itself{status}{flag}: {way.detail}."
        case "refused":
            return f"The {way.by} refuses the call{status}{flag}: {way.detail}."


_CROSSES = {
    "plaintext": "in plaintext",
    "tls": "by TLS that is not the mesh's",
    "mutual_tls": "by mutual TLS",
    "mixed": "in plaintext, and then by TLS of the application's own",
}


_WITHIN = {"tls": "TLS of its own", "mutual-tls": "TLS of its own, with a certificate"}


def _to_gateway(wire: Wire) -> str:
    """Say what crosses on the way to a gateway."""
    to = address_text(wire.to)
    if wire.tls is None and not wire.sent.data:
        return f"A connection to the gateway at {to} opens. The client sends nothing on it."
    return f"The call crosses the network to the gateway at {to} {_CROSSES[wire.security]}."


def _last_leg(way: Way) -> str:
    if way.wire is None:
        return (
            f"Nothing of the call crosses the network{' behind the gateway' * bool(way.earlier)}."
        )
    to = address_text(way.wire.to)
    # A client whose server greets it sends its own words once it is greeted.
    silent = not way.wire.sent.data and not (way.wire.sent.spoken and way.outcome == "arrives")
    if way.wire.tls is None and silent:
        return f"A connection to {to} opens on the network. The client sends nothing on it."
    inside = (
        "; inside is TLS of the application's own" if way.wire.tls and way.wire.sent.tls else ""
    )
    crosses = "The call crosses" if way.outcome == "arrives" else "What the client sends crosses"
    over = "the network from there" if way.earlier else "the network"
    return f"{crosses} {over} to {to} {_CROSSES[way.wire.security]}{inside}."
