"""What of a cluster's objects is walked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clusters.kube import Obj
from lab.audit import probes
from lab.audit.api import ApiInventory
from lab.audit.folder import StoredObjects
from lab.predict.cluster import ApiMesh
from lab.predict.question import STRANGER

HTTP, TCP = {"httpGet": {"port": "web"}}, {"tcpSocket": {"port": 8080}}


def pod(namespace: str, *, sidecar: bool = True, **probed: Obj) -> Obj:
    own = {"name": "web", "ports": [{"name": "web", "containerPort": 8080}], **probed}
    proxy = {"name": "istio-proxy", "readinessProbe": {"httpGet": {"port": 15021}}}
    return {
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": namespace},
        "spec": {"containers": [own, proxy] if sidecar else [own]},
        "status": {"podIP": "10.0.0.1"},
    }


def service(namespace: str) -> Obj:
    return {
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"clusterIP": "10.1.0.1", "ports": [{"name": "http", "port": 80}]},
    }


def inventory(*objects: Obj, namespaces: tuple[str, ...] = ()) -> ApiInventory:
    stored = StoredObjects()
    for one in objects:
        stored.add(one)

    def nothing(_: Any) -> Any:
        raise AssertionError("no proxy is asked")

    return ApiInventory(ApiMesh(stored, nothing), namespaces)


def test_a_client_outside_and_a_kubelet_call_the_namespaces_that_are_looked_at() -> None:
    objects = [one(space) for space in ("shop", "bank") for one in (pod, service)]
    objects[0]["spec"]["containers"][0]["livenessProbe"] = HTTP
    objects[2]["spec"]["containers"][0]["livenessProbe"] = HTTP
    for chosen in (("shop",), ("bank",)):
        there = inventory(*objects, namespaces=chosen)
        outside = there.destinations(replace(STRANGER))  # as an audit asks: of a copy
        assert [one.name for one in outside] == [f"web.{chosen[0]}:80"]
        probed = there.destinations(replace(probes.KUBELET))
        assert [one.name for one in probed] == [f"liveness probe of {chosen[0]}/web, container web"]


@pytest.mark.parametrize(
    ("probe", "sent"),
    [
        (HTTP, "http1.1"),
        ({"httpGet": {"port": 8080, "scheme": "HTTPS"}}, "tls"),
        ({"grpc": {"port": 8080}}, "grpc"),
    ],
)
def test_a_probe_is_walked_with_what_a_kubelet_sends(probe: Obj, sent: str) -> None:
    (found,) = inventory(pod("shop", readinessProbe=probe)).destinations(probes.KUBELET)
    assert (found.addresses, found.port, found.spoken) == (("10.0.0.1",), 8080, (sent,))


@pytest.mark.parametrize(
    "asked",
    [
        pod("shop", readinessProbe=TCP),
        pod("shop", readinessProbe={"exec": {"command": ["true"]}}),
        pod("shop", readinessProbe={"httpGet": {"port": 80, "host": "example.com"}}),
        pod("shop", sidecar=False, readinessProbe=HTTP),
    ],
    ids=["tcp", "exec", "of another host", "of a pod without a sidecar"],
)
def test_what_no_sidecar_decides_is_not_walked(asked: Obj) -> None:
    assert inventory(asked).destinations(probes.KUBELET) == []
