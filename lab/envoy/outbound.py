"""What the caller's proxy does with a call: where it sends it, and how it speaks there."""

from __future__ import annotations

from collections.abc import Iterator

from lab.envoy import forwarding, listener
from lab.envoy.matching import Unreadable
from lab.envoy.mesh import Workload
from lab.envoy.rbac import Peer
from lab.envoy.way import CLIENT, Flow, Way, chain_told, stopped


def ways(caller: Workload, flow: Flow) -> Iterator[Way]:
    """Yield how the caller's proxy sends a call on, or ends it: then `by` says so."""
    proxy = caller.proxy
    assert proxy is not None
    found = listener.find(proxy, *flow.to)
    if found is None:
        raise Unreadable(f"{caller.name}'s proxy has no listener for intercepted connections")
    taken = listener.take(found, *flow.to, flow.sent)
    way = Way().then(CLIENT, "chain", chain_told(taken), taken.place)
    ended = stopped(way, taken, CLIENT)
    if ended:
        yield ended
        return
    assert taken.chain is not None
    seen = None if flow.sent.tls else flow.request
    peer = Peer(caller.address, flow.to[1], "", flow.sent.server_name, seen)
    yield from forwarding.ways(caller, flow, way, taken.chain, peer)
