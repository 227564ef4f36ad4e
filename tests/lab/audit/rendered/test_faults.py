"""A small shop whose manifests are as they should be, and one fault planted at a time."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.audit import edges, findings
from lab.audit.rendered import mesh
from lab.audit.rules import rules
from lab.commands.line import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # the generator is built at first use
NOW = "2026-01-01T00:00:00Z"
Objects = dict[str, Any]
FRONT = "cluster.local/ns/shop/sa/front"
SHOP = f"""
policy:
  apiVersion: security.istio.io/v1
  kind: PeerAuthentication
  metadata: {{name: default, namespace: shop}}
  spec: {{mtls: {{mode: STRICT}}}}
allowed:
  apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {{name: readers, namespace: shop}}
  spec:
    selector: {{matchLabels: {{app: web}}}}
    rules:
    - from: [{{source: {{principals: [{FRONT}]}}}}]
      to: [{{operation: {{methods: [GET]}}}}]
search:
  apiVersion: networking.istio.io/v1
  kind: ServiceEntry
  metadata: {{name: search, namespace: shop}}
  spec:
    hosts: [search.example]
    ports: [{{number: 443, name: https, protocol: HTTPS}}]
    resolution: DNS
"""


def shop() -> Objects:
    """Two versions of a front that call a web server, and a database."""
    made: Objects = yaml.safe_load(SHOP)
    for name, app, account in (
        ("front-v1", "front", "front"),
        ("front-v2", "front", "front"),
        ("web", "web", "web"),
        ("db", "db", "db"),
    ):
        template = {
            "metadata": {"labels": {"app": app, "version": name}},
            "spec": {
                "serviceAccountName": account,
                "containers": [{"name": app, "image": app, "ports": [{"containerPort": 8080}]}],
            },
        }
        made[name] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"version": name}}, "template": template},
        }
    for name, port, port_name in (
        ("front", 80, "http"),
        ("web", 80, "http"),
        ("db", 3306, "mysql"),
    ):
        made[f"{name}-service"] = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "selector": {"app": name},
                "ports": [{"name": port_name, "port": port, "targetPort": 8080}],
            },
        }
    return made


def found(objects: Objects) -> dict[str, list[tuple[str, ...]]]:
    """The rules that find something, but for those of low severity, with the causes."""
    made = mesh.of(objects.values(), (), now=NOW, progress=lambda _line: None)
    walked = edges.walk_all(made.inventory)
    told: dict[str, list[tuple[str, ...]]] = {}
    for one in findings.find(walked.edges, made.inventory.objects(), rules()):
        if one.rule.severity != "low":
            told.setdefault(one.rule.name, []).append(one.causes)
    return told


def test_a_shop_that_is_as_it_should_be_has_no_finding() -> None:
    assert found(shop()) == {}


def on_the_nodes_network(there: Objects) -> None:
    there["web"]["spec"]["template"]["spec"]["hostNetwork"] = True


def another_account(there: Objects) -> None:
    del there["front-v2"]["spec"]["template"]["spec"]["serviceAccountName"]


def two_dashes(there: Objects) -> None:
    (rule,) = there["allowed"]["spec"]["rules"]
    there["allowed"]["spec"]["rules"] = [{"from": rule["from"]}, {"to": rule["to"]}]


def as_http(there: Objects) -> None:
    there["db-service"]["spec"]["ports"][0]["appProtocol"] = "http"


def tls_around_tls(there: Objects) -> None:
    there["rule"] = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "search", "namespace": "shop"},
        "spec": {"host": "search.example", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}},
    }


@pytest.mark.parametrize(
    ("fault", "rule", "cause"),
    [
        (on_the_nodes_network, "on-node-network", "hostNetwork of shop/web"),
        (another_account, "siblings-differ", "ServiceAccount of shop/front-v2"),
        (two_dashes, "rules-are-alternatives", "AuthorizationPolicy shop/readers, spec.rules[0]"),
        (as_http, "database-as-http", "Service shop/db, appProtocol of port 3306"),
        (tls_around_tls, "tls-twice", "DestinationRule shop/search"),
    ],
)
def test_one_fault_is_one_finding_with_its_cause(
    fault: Callable[[Objects], None], rule: str, cause: str
) -> None:
    there = copy.deepcopy(shop())
    fault(there)
    told = found(there)
    assert [*told] == [rule]
    assert cause in told[rule][0]


def test_a_pod_that_cannot_be_injected_is_not_read_and_the_others_are() -> None:
    there = shop()
    template = there["web"]["spec"]["template"]
    template["metadata"]["annotations"] = {"inject.istio.io/templates": "grpc-agent"}
    made = mesh.of(there.values(), (), now=NOW, progress=lambda _line: None)
    walked = edges.walk_all(made.inventory)
    assert [one.what for one in walked.unread] == ["shop/web-0"]
    assert 'template "grpc-agent" not found' in walked.unread[0].why
    outcomes: dict[str, set[str]] = {}
    for one in walked.edges:
        outcomes.setdefault(one.to.name, set()).add(one.way.outcome)
    assert outcomes["web.shop:80"] == {"unknown"}
    assert "arrives" in outcomes["front.shop:80"]


def test_a_changed_manifest_is_told_by_the_edges_that_it_breaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = shop()
    base, change = tmp_path / "base.yaml", tmp_path / "change.yaml"
    base.write_text(yaml.safe_dump_all(there.values()))
    renamed = copy.deepcopy(there["web-service"])
    renamed["spec"]["ports"][0]["name"] = "udp-web"
    gone = {**there["search"], "$patch": "delete"}
    change.write_text(yaml.safe_dump_all([renamed, gone]))
    lines = tmp_path / "out.sarif"
    assert main(["audit", str(base), "--with", str(change), "--sarif", str(lines)]) == 1
    said = capsys.readouterr().out
    assert "Service shop/web replaced; ServiceEntry shop/search deleted" in said
    assert re.search(r"breaks +shop/front-v1 +web\.shop:80 +http1\.1 +arrives, mutual TLS", said)
    assert "4 generated, not held" in said
    results = json.loads(lines.read_text())["runs"][0]["results"]
    found = next(one for one in results if one["ruleId"] == "passed-through")
    place = found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert place.endswith("change.yaml")
