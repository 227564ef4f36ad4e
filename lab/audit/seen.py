"""What rules ask of an edge: how it crosses, what carried it, and which objects are behind that."""

from __future__ import annotations

import re

from lab.audit.edges import Edge
from lab.envoy import authorization
from lab.envoy.way import CALLER

_GENERATED = re.compile(r"(-[0-9a-z]{5,10})?-[0-9a-z]{5}$|-\d+$")
"""How Kubernetes ends the names of pods: after the template's hash, or by their number."""
_IN_CLUSTER = ".svc.cluster.local"
PASSTHROUGH = "PassthroughCluster"


def workload(pod: str) -> str:
    """Return what made a pod, by the pod's name: `shop/web-7d4b9c-x2x9k` -> `shop/web`."""
    return _GENERATED.sub("", pod) or pod


def in_plaintext(edge: Edge) -> bool:
    """Return whether an edge between two sidecars can be read on the network."""
    return edge.in_mesh and edge.crossed in ("plaintext", "mixed")


def cluster(edge: Edge) -> str:
    """Return the name of the cluster that carries it from the caller's proxy; empty: none does."""
    return edge.carrier.name


def rule_of(edge: Edge) -> str:
    """Return the DestinationRule behind that cluster: `DestinationRule shop/web`; empty: none."""
    parts = edge.carrier.rule.split("/")
    if "destination-rule" not in parts:
        return ""
    return f"DestinationRule {parts[-3]}/{parts[-1]}"


def asks(edge: Edge) -> str:
    """Return the same with the subset that the call is routed to, where it is."""
    subset = (cluster(edge).split("|") + [""] * 3)[2]
    return f"{rule_of(edge)}, subset {subset}" if rule_of(edge) and subset else rule_of(edge)


def has_one_socket(edge: Edge) -> bool:
    """Return whether the cluster sends to whatever address is asked, all by one socket."""
    return edge.carrier.kind == "ORIGINAL_DST" and cluster(edge) != PASSTHROUGH


def is_told(edge: Edge) -> bool:
    """Return whether the Service is exported to the caller's namespace."""
    namespace = edge.caller.name.partition("/")[0]
    return not edge.to.exported_to or namespace in edge.to.exported_to


def past_sidecar(edge: Edge) -> bool:
    """Return whether it goes past one of the two sidecars."""
    return any(one.kind == "left out" for one in edge.way.steps)


def gives_tls(edge: Edge) -> bool:
    """Return whether the mesh's TLS goes to an end where no proxy takes it off."""
    wire = edge.way.wire
    last = edge.way.steps[-1:]
    ends_at_pod = any(one.kind in ("left out", "no sidecar") for one in last)
    return wire is not None and wire.tls is not None and wire.tls.is_workloads and ends_at_pod


def service(edge: Edge) -> str:
    """Return the port that is called, with its name: `Service shop/web, port 9000 "udp-foo"`."""
    to = edge.to
    if to.kind == "probe":
        return to.told
    if to.kind == "other":
        return f"port {to.port}"
    if to.kind == "ServiceEntry":
        return f"ServiceEntry with host {to.host}, port {to.port}"
    name, _, rest = to.host.partition(".")
    called = f' "{to.port_name}"' if to.port_name else " without a name"
    return f"Service {rest.partition('.')[0]}/{name}, port {to.port}{called}"


def taken_by(edge: Edge) -> str:
    """Return whose cluster carries it: `ServiceEntry with host db.example, port 9101`."""
    _, port, _, host = (cluster(edge).split("|") + [""] * 4)[:4]
    if not host:
        return f"cluster {cluster(edge)}"
    if host.endswith(_IN_CLUSTER):
        name, namespace = host.split(".")[:2]
        return f"Service {namespace}/{name}, port {port}"
    return f"ServiceEntry with host {host}, port {port}"


def server_pod(edge: Edge) -> str:
    """Return the pod that it goes to: `pod shop/web-7d4b9c-x2x9k`."""
    return f"pod {edge.server.name}" if edge.server else ""


def server(edge: Edge) -> str:
    """Return the workload that it goes to: `shop/web`, whichever its pod is."""
    return workload(edge.server.name) if edge.server else ""


def who_leaves_out(edge: Edge) -> str:
    """Return whose sidecar leaves the call out: `shop/web`."""
    by_caller = any(one.kind == "left out" and one.where == CALLER for one in edge.way.steps)
    return workload(edge.caller.name) if by_caller else server(edge)


def why_left_out(edge: Edge) -> str:
    """Return what of that workload is the reason: an annotation of its pods, or their user."""
    caller, server = edge.caller, edge.server
    if who_leaves_out(edge) != workload(caller.name):
        taken = server.interception if server else None
        return f"{taken.why_not_in} of {who_leaves_out(edge)}" if taken else ""
    if caller.uid:
        return f"runAsUser or runAsGroup {caller.uid} of {workload(caller.name)}"
    asked = edge.to.addresses[0]
    taken = caller.interception
    return f"{taken.why_not_out(asked, edge.to.port)} of {workload(caller.name)}" if taken else ""


def first_end(edge: Edge) -> str:
    """Return the address that the call leaves the caller for; empty: it does not leave."""
    first = edge.way.earlier[0] if edge.way.earlier else edge.way.wire
    return first.to[0] if first else ""


def hangs(edge: Edge) -> bool:
    """Return whether a call of the mesh hangs in a proxy, though its sidecar is told of it."""
    return edge.caller.has_sidecar and edge.way.outcome == "hangs" and is_told(edge)


def refused_by(edge: Edge, who: str) -> bool:
    """Return whether one of the proxies, CLIENT or SERVER, refuses it."""
    return edge.way.outcome == "refused" and edge.way.by == who


def policies(edge: Edge, action: str) -> list[str]:
    """Return the policies of the server that name identities, for the port that is called."""
    wire, pod = edge.way.wire, edge.server
    if wire is None or pod is None or pod.proxy is None or not pod.has_sidecar:
        return []
    named = authorization.by_identity(pod.proxy, wire.to[1], action)
    return [f"AuthorizationPolicy {one}" for one in named]


def shows_nobody(edge: Edge) -> bool:
    """Return whether the server is shown no identity."""
    return edge.way.wire is not None and not edge.way.wire.identity


def present(*names: str) -> tuple[str, ...]:
    """Return the names that are not empty."""
    return tuple(filter(None, names))
