"""Which ports Istio has to detect: as pkg/config/protocol of Istio 1.31 decides."""

from __future__ import annotations

import json

import pytest

from clusters.embedded.node.alpn import conditions_of, detected, envoy_filter
from lab.envoy.requests import offered


@pytest.mark.parametrize(
    ("port", "wanted"),
    [
        ({"port": 80}, True),
        ({"port": 80, "name": "web"}, True),
        ({"port": 80, "name": "foo-http"}, True),
        ({"port": 80, "name": "http"}, False),
        ({"port": 80, "name": "http-web"}, False),
        ({"port": 80, "name": "HTTP-web"}, False),
        ({"port": 80, "name": "grpc-web-x"}, False),
        ({"port": 80, "name": "tcp-foo"}, False),
        ({"port": 80, "name": "udp-foo"}, False),
        ({"port": 80, "name": "web", "appProtocol": "http"}, False),
        ({"port": 80, "name": "http", "appProtocol": "mine.example/x"}, True),
        ({"port": 80, "appProtocol": "kubernetes.io/h2c"}, False),
        ({"port": 53, "protocol": "UDP"}, False),
        ({"port": 3306}, False),
    ],
)
def test_a_port_is_detected_or_declared(port: dict, wanted: bool) -> None:
    assert detected(port) is wanted


def service(*ports: dict) -> dict:
    meta = {"name": "web", "namespace": "shop"}
    return {"metadata": meta, "spec": {"ports": list(ports)}}


def test_only_detected_ports_are_named_in_the_filter() -> None:
    found = conditions_of(service({"port": 80}, {"port": 81, "name": "http"}))
    assert len(found) == 1
    assert "'outbound|80|'" in found[0]
    assert "'|web.shop.svc.cluster.local'" in found[0]
    patches = envoy_filter(found, "istio-system")["spec"]["configPatches"]
    assert {patch["match"]["context"] for patch in patches} == {"SIDECAR_OUTBOUND", "GATEWAY"}


def test_a_gateway_offers_http1_to_a_detected_port_and_a_sidecar_what_it_was_spoken_to_in() -> None:
    found = {
        patch["match"]["context"]: json.dumps(patch["patch"]["value"])
        for patch in envoy_filter(conditions_of(service({"port": 80})), "istio-system")["spec"][
            "configPatches"
        ]
    }
    assert "istio-h2" in found["SIDECAR_OUTBOUND"]
    assert "istio-h2" not in found["GATEWAY"]
    assert "istio-http/1.1" in found["GATEWAY"]


@pytest.mark.parametrize("kind", ["SIDECAR_OUTBOUND", "GATEWAY"])
def test_a_cluster_whose_rule_has_tls_of_its_own_keeps_its_own_alpn(kind: str) -> None:
    patches = envoy_filter(conditions_of(service({"port": 80})), "istio-system")["spec"][
        "configPatches"
    ]
    (filter_,) = [patch["patch"]["value"] for patch in patches if patch["match"]["context"] == kind]
    manager = {"http_filters": [filter_]}
    cluster: dict = {"name": "outbound|80||web.shop.svc.cluster.local"}
    marked = {"metadata": {"filter_metadata": {"istio": {"alpn_override": "false"}}}}
    assert offered(manager, cluster, "http/1.1", "http/1.1")[0] == "istio-http/1.1"
    assert offered(manager, {**cluster, **marked}, "http/1.1", "http/1.1") == ()
