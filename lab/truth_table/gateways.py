"""The gateway of each policy's namespace, and what it does for each configuration of the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lab.envoy import listener, upstream
from lab.envoy.dump import Proxy
from lab.record.world import EXPORT_TO
from lab.truth_table.asked import public_name
from lab.truth_table.axes import GatewayServer
from lab.truth_table.places import Place
from lab.workloads import manifests
from lab.workloads.manifests import OWN_TLS, WORKLOADS, Setting

Obj = dict[str, Any]
NAME = "gateway"
_API = "networking.istio.io/v1"


def _selected(namespace: str) -> dict[str, str]:
    """Return the labels by which Gateways select the pod: they select in all namespaces."""
    return {"lab-table": namespace}


def workload(setting: Setting, namespace: str) -> list[Obj]:
    """Return the gateway's pod, with a certificate of the servers' own CA."""
    made = manifests.with_certificate(WORKLOADS[NAME](setting), setting)
    deployment = next(one for one in made if one["kind"] == "Deployment")
    deployment["spec"]["template"]["metadata"]["labels"] |= _selected(namespace)
    return made


def objects(place: Place, server: GatewayServer, namespace: str) -> Iterator[Obj]:
    """Yield the Gateway of one configuration, and the route to its Service.

    A caller in the mesh comes by a Service of the gateway's, and by TLS of the mesh's.
    """
    in_mesh = server.mode == "ISTIO_MUTUAL"
    # A sidecar's SNI is the name of its cluster, and no host's.
    host = "*" if in_mesh else public_name(place.service)
    port = {"number": place.at_gateway, "name": place.service, "protocol": server.protocol}
    tls = {"tls": _tls(server)} if server.mode else {}
    servers = [{"hosts": [host], "port": port, **tls}]
    gateway = {"selector": _selected(namespace), "servers": servers}
    yield _object("Gateway", place.service, gateway)
    route = {"hosts": [host], "gateways": [place.service], **_route(place, server, host)}
    yield _object("VirtualService", place.service, route)
    if in_mesh:
        yield _service(place)
        rule = {"host": place.in_front, "trafficPolicy": {"tls": {"mode": server.mode}}}
        yield _object("DestinationRule", place.in_front, rule)


def _object(kind: str, name: str, spec: Obj) -> Obj:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _tls(server: GatewayServer) -> Obj:
    files = {"serverCertificate": f"{OWN_TLS}/cert.pem", "privateKey": f"{OWN_TLS}/key.pem"}
    shown = files if server.mode in ("SIMPLE", "MUTUAL") else {}
    asked = {"caCertificates": f"{OWN_TLS}/ca.pem"} if server.mode == "MUTUAL" else {}
    return {"mode": server.mode, **shown, **asked}


def _route(place: Place, server: GatewayServer, host: str) -> Obj:
    to = {"destination": {"host": place.service, "port": {"number": place.number}}}
    if server.reads_requests:
        return {"http": [{"route": [to]}]}
    match = {"port": place.at_gateway}
    if server.mode == "PASSTHROUGH":
        return {"tls": [{"match": [{**match, "sniHosts": [host]}], "route": [to]}]}
    return {"tcp": [{"match": [match], "route": [to]}]}


def _service(place: Place) -> Obj:
    # A declared protocol, which lets the caller's sidecar hand everything on as it is.
    port = {"name": "tcp", "port": place.at_gateway, "targetPort": place.at_gateway}
    meta = {"name": place.in_front, "annotations": {EXPORT_TO: "."}}
    spec = {"selector": {"app": NAME}, "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def missing(proxy: Proxy, places: Iterable[Place], namespace: str) -> Iterator[str]:
    """Yield what a gateway's proxy does not hold yet, of the configurations that it is for."""
    domains = {
        domain
        for config in proxy.routes.values()
        for host in config.get("virtual_hosts") or ()
        for domain in host["domains"]
    }
    for place in places:
        server = place.configuration.gateway_server
        if server is None:
            continue
        cluster = f"outbound|{place.number}||{place.service}.{namespace}.svc.cluster.local"
        if listener.at(proxy, place.at_gateway) is None:
            yield f"no listener at {place.at_gateway}"
        elif server.reads_requests and public_name(place.service) not in domains:
            yield f"no route for {public_name(place.service)}"
        elif cluster not in proxy.clusters or not upstream.ways(proxy, cluster, ("", 0)):
            yield f"no endpoint of {place.service}:{place.number}"


def not_in_front(proxy: Proxy, places: Iterable[Place], namespace: str) -> Iterator[str]:
    """Yield what a caller's sidecar does not hold yet of the gateway's own Services."""
    for place in places:
        server = place.configuration.gateway_server
        if server is None or server.mode != "ISTIO_MUTUAL":
            continue
        host = f"{place.in_front}.{namespace}.svc.cluster.local"
        cluster = f"outbound|{place.at_gateway}||{host}"
        ends = upstream.ways(proxy, cluster, ("", 0)) if cluster in proxy.clusters else []
        if not any(one.tls for one in ends):
            yield f"no TLS to {place.in_front}"
