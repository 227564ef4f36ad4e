"""The Kubernetes objects of the table's mesh: a namespace for each policy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from lab.record.world import EXPORT_TO
from lab.truth_table import gateways
from lab.truth_table.axes import OWN_CA, POLICIES, PORT_NAMES, RULES
from lab.truth_table.places import DATABASES, Place
from lab.workloads import variants
from lab.workloads.manifests import EXCLUDED_PORTS, WORKLOADS, Setting, readiness, with_certificate
from lab.workloads.variants import Variant

Obj = dict[str, Any]
OWN_NAMESPACE = {EXPORT_TO: "."}
"""A namespace's Services are its own: else each sidecar holds those of all."""
SERVERS = ("server", "server-ports", "server-plain", DATABASES)
REGISTRY_ONLY = "client-registry"
"""The caller whose sidecar sends only to addresses that it knows."""


def workloads(policy: str, places: Sequence[Place], setting: Setting, namespace: str) -> list[Obj]:
    """Return the policies and the workloads in the namespace of one policy."""
    made = [peer_authentication("default", POLICIES[policy])] if policy in POLICIES else []
    made += [*_port_policies(policy, places)]
    made += _callers(places, setting)
    for workload in SERVERS:
        own = [one for one in places if one.workload == workload]
        build = _databases if workload == DATABASES else _server
        made += [*build(workload, own, setting), _receives(workload)] if own else []
    made += gateways.workload(setting, namespace) if any(one.at_gateway for one in places) else []
    return made


def services(places: Sequence[Place], namespace: str) -> list[Obj]:
    """Return the Services, and the rules for them."""
    served = [place for place in places if place.service]
    each = ((_service(one), *_rule(one), *_front(one, namespace)) for one in served)
    return [obj for made in each for obj in made]


def peer_authentication(name: str, mode: str, **more: Any) -> Obj:
    """Return a policy of a namespace, or of a workload where `selector` is given."""
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": name},
        "spec": {"mtls": {"mode": mode}, **more},
    }


def _port_policies(policy: str, places: Iterable[Place]) -> Iterable[Obj]:
    modes = {
        str(one.target): {"mode": POLICIES[one.configuration.port_policy]}
        for one in places
        if one.configuration.port_policy != "none"
    }
    if modes:
        selector = {"matchLabels": {"app": "server-ports"}}
        yield peer_authentication(
            "server-ports", POLICIES[policy], selector=selector, portLevelMtls=modes
        )


def _service(place: Place) -> Obj:
    called = PORT_NAMES[place.configuration.port_name]
    port: Obj = {"port": place.number, "targetPort": place.target}
    # A name that is only a protocol's is the same as one with a suffix: `http` and `http-a`.
    port |= {"name": called.name} if called.name else {}
    port |= {"appProtocol": called.app_protocol} if called.app_protocol else {}
    port |= {"protocol": "UDP"} if place.udp else {}
    spec: Obj = {"selector": {"app": place.workload}, "ports": [port]}
    spec |= {"clusterIP": "None"} if place.configuration.address == "headless" else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": place.service, "annotations": OWN_NAMESPACE},
        "spec": spec,
    }


def _rule(place: Place) -> Iterable[Obj]:
    tls = RULES[place.configuration.rule]
    if tls:
        yield {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": {"name": place.service},
            "spec": {"host": place.service, "trafficPolicy": {"tls": tls}},
        }


def _front(place: Place, namespace: str) -> Iterable[Obj]:
    server = place.configuration.gateway_server
    return gateways.objects(place, server, namespace) if server else ()


def _callers(places: Sequence[Place], setting: Setting) -> list[Obj]:
    """Return both callers, and a third whose sidecar knows the registry only."""
    client = _with_own_ca(WORKLOADS["client"](setting))
    registry = _with_own_ca(variants.manifests(Variant(REGISTRY_ONLY, of="client"), setting))
    limits = _scope(REGISTRY_ONLY, "./*", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"})
    unregistered = any(not one.service for one in places)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "own-ca"},
        "stringData": {"ca.pem": setting.authority.certificate_pem.decode()},
    }
    return [
        secret,
        *client,
        *with_certificate(WORKLOADS["stranger"](setting), setting),
        *([*registry, limits] if unregistered else ()),
    ]


def _receives(workload: str) -> Obj:
    """Return what tells a server's sidecar of no Service: it calls none.

    Hundreds of clusters cost each sidecar seconds of CPU, and what it does with what comes in is
    the same without them.
    """
    return _scope(workload, "~/*")


def _scope(workload: str, *hosts: str, **more: Any) -> Obj:
    """Return the Sidecar by which a workload's proxy is told of these hosts alone."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": {"name": workload},
        "spec": {
            "workloadSelector": {"labels": {"app": workload}},
            "egress": [{"hosts": [*hosts]}],
            **more,
        },
    }


def _with_own_ca(objects: list[Obj]) -> list[Obj]:
    """Return a caller whose sidecar has the certificate of the servers' own CA."""
    template = next(one for one in objects if one["kind"] == "Deployment")["spec"]["template"]
    mount = {"own-ca": {"mountPath": OWN_CA.rpartition("/")[0]}}
    notes = template["metadata"]["annotations"]
    notes["sidecar.istio.io/userVolumeMount"] = json.dumps(mount)
    template["spec"]["volumes"] = [{"name": "own-ca", "secret": {"secretName": "own-ca"}}]
    return objects


def _server(workload: str, places: Sequence[Place], setting: Setting) -> list[Obj]:
    args = [
        f"--{kind}-first={ranges(one.target for one in places if one.server_first is first)}"
        for kind, first in (("server", True), ("client", False))
    ]
    args.append(f"--udp={ranges(one.target for one in places if one.udp)}")
    excluded = [str(one.target) for one in places if one.configuration.server == "excluded"]
    variant = Variant(
        workload,
        of="table-server",
        args=tuple(args),
        ports=(places[0].target,),
        sidecar=workload != "server-plain",
        annotations={EXCLUDED_PORTS: ",".join(excluded)} if excluded else {},
    )
    return variants.manifests(variant, setting)


def _databases(workload: str, places: Sequence[Place], setting: Setting) -> list[Obj]:
    """Return one pod with the servers that are called, a container each."""
    objects = WORKLOADS[workload](setting)
    pod = next(one for one in objects if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    listening = {
        server: [one.target for one in places if one.configuration.sends == server]
        for server in {one.configuration.sends for one in places}
    }
    pod["containers"] = [one for one in pod["containers"] if one["name"] in listening]
    for one in pod["containers"]:
        targets = listening[one["name"]]
        one["args"] = [f"--ports={ranges(targets)}"]
        one["ports"] = [{"containerPort": targets[0]}]
        one["readinessProbe"] = readiness(targets[0])
    return objects


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as `21000-21007,21010`."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)
