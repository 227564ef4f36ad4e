"""What a call would do: from an application, through the proxies' configuration, to another.

A walk makes no call and reads no packet. It says how the configuration would carry a call, and
names what it does not know: an answer that is *unknown* is never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.envoy import gateway, inbound, outbound
from lab.envoy.dump import MISSHAPEN
from lab.envoy.matching import Unreadable
from lab.envoy.mesh import Mesh, Workload, address_text
from lab.envoy.way import CALLER, NODE, Flow, Way, Wire, arriving

MOST_GATEWAYS = 4
"""On one way: more of them hand a call round."""


def ways(mesh: Mesh, caller: Workload, flow: Flow) -> list[Way]:
    """Return each way that a call can take; their shares add up to one."""
    try:
        return list(_ways(mesh, caller, flow))
    except Unreadable as unread:
        return [Way().ends("unknown", "", "", unknown=str(unread))]
    except MISSHAPEN as wrong:
        return [Way().ends("unknown", "", "", unknown=f"a dump is not such as Envoy's: {wrong!r}")]


def _ways(mesh: Mesh, caller: Workload, flow: Flow) -> Iterator[Way]:
    if caller.is_gateway:
        raise Unreadable(f"{caller.name} is a gateway: nothing in its pod calls of its own accord")
    wire = Wire(flow.to, flow.sent, request=flow.request)
    taken = caller.interception and caller.interception.takes_out(*flow.to, flow.uid or caller.uid)
    if not taken or flow.sent.udp:
        yield from _over_node(mesh, caller, _untaken(caller, Way(wire=wire)))
    elif caller.proxy is None:
        raise Unreadable(f"the configuration of {caller.name}'s proxy is not known")
    else:
        for way in outbound.ways(caller, flow):
            yield from [way] if way.by else _over_node(mesh, caller, way)


def _untaken(caller: Workload, way: Way) -> Way:
    if caller.has_sidecar:
        return way.then(CALLER, "left out", "the call leaves the pod as it is")
    return way.then(CALLER, "no sidecar", "the call passes no sidecar")


def _over_node(mesh: Mesh, caller: Workload, way: Way) -> Iterator[Way]:
    """Yield how a connection goes on: to a pod, or by kube-proxy to one of a Service's."""
    wire = way.wire
    assert wire is not None
    ends = mesh.endpoints(wire.to)
    if ends is None:
        yield from _at(mesh, caller, way)
        return
    if not ends:
        address = address_text(wire.to)
        yield way.ends("refused", NODE, f"the Service at {address} has no ready endpoint")
    for end in ends:
        on = way._replace(wire=wire._replace(to=end), share=way.share / len(ends))
        on = on.then(NODE, "node", f"kube-proxy sends it to {address_text(end)}")
        yield from _at(mesh, caller, on)


def _at(mesh: Mesh, caller: Workload, way: Way) -> Iterator[Way]:
    """Yield what becomes of a connection at the pod that it goes to."""
    wire = way.wire
    assert wire is not None
    pod = mesh.workloads.get(wire.to[0])
    if pod is None:
        yield way.ends("unknown", "", "", unknown=f"who has the address {wire.to[0]} is not known")
    elif pod.address == caller.address:
        yield way.ends("unknown", "", "", unknown="a pod that calls itself is not modelled")
    elif pod.is_gateway:
        yield from _through(mesh, caller, pod, way)
    elif pod.interception and pod.interception.takes_in(wire.to[1]) and not wire.sent.udp:
        if pod.proxy is None:
            raise Unreadable(f"the configuration of {pod.name}'s proxy is not known")
        yield from inbound.ways(mesh, caller, pod, way)
    else:
        # Whether the application asks for the certificate that a proxy would show is not known.
        on = _past_sidecar(pod, wire, way._replace(wire=wire._replace(identity="")))
        yield on.ends("arrives", pod.name, arriving(wire))


def _through(mesh: Mesh, caller: Workload, pod: Workload, way: Way) -> Iterator[Way]:
    """Yield how a call goes on at a gateway, and from there."""
    if len(way.earlier) == MOST_GATEWAYS:
        raise Unreadable(f"a call that passes more than {MOST_GATEWAYS} gateways")
    for one in gateway.ways(mesh, caller, pod, way):
        yield from [one] if one.by else _over_node(mesh, pod, one)


def _past_sidecar(pod: Workload, wire: Wire, way: Way) -> Way:
    if not pod.has_sidecar:
        return way.then(pod.name, "no sidecar", "it has no sidecar")
    why = "its sidecar takes no UDP" if wire.sent.udp else "its sidecar leaves this port out"
    return way.then(pod.name, "left out", why)
