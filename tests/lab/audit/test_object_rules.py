"""Rules of DestinationRules, Services and policies: what they find, and where they find nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import audited_worlds
import pytest

from lab.audit import edges, seen
from lab.audit.objects import Objects
from lab.audit.rule import Audited
from lab.audit.rules import (
    credential_without_selector,
    http_field_on_tcp,
    mtls_disabled,
    port_settings_replace,
    shadowed_rule,
    two_protocols,
    younger_rule,
)

Obj = dict[str, Any]
OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def meta(name: str, created: str = OLD, namespace: str = "shop") -> Obj:
    return {"name": name, "namespace": namespace, "creationTimestamp": created}


def rule(name: str, host: str, mode: str, created: str = OLD, **more: Any) -> Obj:
    tls = {"mode": mode, **more.pop("tls", {})}
    policy = {"tls": tls, **more.pop("policy", {})}
    namespace = more.pop("namespace", "shop")
    spec = {"host": host, "trafficPolicy": policy, **more}
    return {"kind": "DestinationRule", "metadata": meta(name, created, namespace), "spec": spec}


@pytest.mark.parametrize(
    ("second", "found"),
    [
        (rule("b", "web", "ISTIO_MUTUAL", NEW), ["DestinationRule shop/b"]),
        (rule("b", "web.shop.svc.cluster.local", "SIMPLE", NEW), ["DestinationRule shop/b"]),
        (rule("b", "web", "ISTIO_MUTUAL", "2025-01-01T00:00:00Z"), ["DestinationRule shop/a"]),
        (rule("b", "web", "DISABLE", NEW), []),
        (rule("b", "other", "ISTIO_MUTUAL", NEW), []),
        (rule("b", "web", "ISTIO_MUTUAL", NEW, exportTo=["."]), []),
        (rule("b", "web", "ISTIO_MUTUAL", NEW, workloadSelector={"matchLabels": {"a": "b"}}), []),
        (rule("b", "web", "ISTIO_MUTUAL", NEW, namespace="other"), []),
    ],
)
def test_of_two_rules_of_one_host_the_younger_is_found(second: Obj, found: list[str]) -> None:
    there = Objects(destination_rules=[rule("a", "web", "DISABLE"), second])
    assert [one.about for one in younger_rule.RULE.found(there)] == found


def service(name: str, created: str, port_name: str, target: int = 8080) -> Obj:
    port = {"port": 80, "name": port_name, "targetPort": target}
    return {"metadata": meta(name, created), "spec": {"selector": {"app": "web"}, "ports": [port]}}


@pytest.mark.parametrize(
    ("older", "younger", "found"),
    [
        ("http", "tcp-raw", ["b.shop:80"]),
        ("grpc", "", ["b.shop:80"]),
        ("http", "http-web", []),
        ("http", "grpc", []),
        ("tcp", "http", []),
    ],
)
def test_a_port_is_found_that_an_older_service_declares_as_http(
    older: str, younger: str, found: list[str]
) -> None:
    pod = {"metadata": {**meta("web-1"), "labels": {"app": "web"}}, "spec": {"containers": []}}
    services = [service("b", NEW, younger), service("a", OLD, older)]
    told = [*two_protocols.RULE.found(Objects([pod], services))]
    assert [one.about for one in told] == found
    for one in told:
        assert one.causes == (f'Service shop/a, port 80 "{older}"',)
    apart = [service("b", NEW, younger, 8081), service("a", OLD, older)]
    assert [*two_protocols.RULE.found(Objects([pod], apart))] == []


def in_plaintext(edge: edges.Edge) -> edges.Edge:
    """The same edge, if the caller's proxy had begun no TLS."""
    assert edge.way.wire is not None
    plain = edge.way.wire._replace(tls=None, identity="")
    return replace(edge, way=edge.way._replace(wire=plain))


def carried() -> tuple[list[edges.Edge], Obj]:
    """A recorded world's edges, those of a rule in plaintext, and the rule that they are of."""
    every = [
        in_plaintext(one) if seen.rule_of(one) else one
        for one in edges.walk_all(audited_worlds.world("old_answers", "posted")).edges
    ]
    name = next(seen.rule_of(one) for one in every if seen.rule_of(one))
    namespace, _, own = name.removeprefix("DestinationRule ").partition("/")
    host = next(one.to.host for one in every if seen.rule_of(one) == name)
    return every, rule(own, host, "SIMPLE", namespace=namespace)


@pytest.mark.parametrize(
    ("credential", "selector", "count"),
    [
        ("own", {}, 1),
        ("own", {"matchLabels": {"app": "a"}}, 0),
        ("configmap://own", {}, 0),
        ("", {}, 0),
    ],
)
def test_a_credential_is_found_where_calls_cross_in_plaintext_by_a_rule_for_everybody(
    credential: str, selector: Obj, count: int
) -> None:
    every, own = carried()
    plain = [one for one in every if seen.rule_of(one) and one.crossed == "plaintext"]
    own["spec"]["trafficPolicy"]["tls"]["credentialName"] = credential
    own["spec"]["workloadSelector"] = selector
    there = Audited(every, Objects(destination_rules=[own]))
    found = [*credential_without_selector.RULE.found(there)]
    assert len(found) == count
    for one in found:
        assert [*one.edges] == plain
    assert [*credential_without_selector.RULE.found(Audited(every, Objects()))] == []


@pytest.mark.parametrize(
    ("mode", "settings", "count"),
    [("SIMPLE", {}, 1), ("SIMPLE", {"tls": {"mode": "SIMPLE"}}, 0), ("DISABLE", {}, 0)],
)
def test_settings_of_a_port_are_found_where_calls_cross_otherwise_than_the_rule_asks(
    mode: str, settings: Obj, count: int
) -> None:
    every, own = carried()
    port = next(one.to.port for one in every if seen.rule_of(one))
    policy = own["spec"]["trafficPolicy"]
    policy["tls"]["mode"] = mode
    policy["portLevelSettings"] = [{"port": {"number": port}, **settings}]
    there = Audited(every, Objects(destination_rules=[own]))
    assert len([*port_settings_replace.RULE.found(there)]) == count


@pytest.mark.parametrize(
    ("mode", "exported", "cause"),
    [
        ("ISTIO_MUTUAL", ["*"], "which callers in"),
        ("ISTIO_MUTUAL", ["."], "its spec.exportTo"),
        ("DISABLE", ["*"], ""),
    ],
)
def test_a_rule_is_found_that_callers_of_another_namespace_are_not_given(
    mode: str, exported: list[str], cause: str
) -> None:
    every, nearer = carried()
    nearer["spec"]["trafficPolicy"]["tls"] = {"mode": "DISABLE"}
    moved = f"{nearer['spec']['host'].partition('.')[0]}.other.svc.cluster.local"
    called = [replace(one, to=replace(one.to, host=moved)) for one in every if seen.rule_of(one)]
    farther = rule("farther", moved, mode, namespace="other", exportTo=exported)
    there = Audited(called, Objects(destination_rules=[nearer, farther]))
    found = [*shadowed_rule.RULE.found(there)]
    assert [one.about for one in found] == (["DestinationRule other/farther"] if cause else [])
    for one in found:
        assert cause in one.causes[0]
        assert [*one.edges] == called


@pytest.mark.parametrize(
    ("port_name", "rule", "found"),
    [
        ("tcp", {"to": [{"operation": {"methods": ["POST"]}}]}, "to.operation.methods"),
        (
            "mysql",
            {"from": [{"source": {"requestPrincipals": ["*"]}}]},
            "from.source.requestPrincipals",
        ),
        ("tcp", {"when": [{"key": "request.headers[a]", "values": ["b"]}]}, "when.key"),
        ("tcp", {"when": [{"key": "source.ip", "values": ["192.0.2.1"]}]}, ""),
        ("tcp", {"from": [{"source": {"principals": ["*"]}}]}, ""),
        ("tcp", {"to": [{"operation": {"methods": ["POST"], "ports": ["9090"]}}]}, ""),
        (
            "tcp",
            {"to": [{"operation": {"methods": ["POST"], "ports": ["8080"]}}]},
            "to.operation.methods",
        ),
        ("http", {"to": [{"operation": {"methods": ["POST"]}}]}, ""),
        ("", {"to": [{"operation": {"methods": ["POST"]}}]}, ""),
    ],
)
def test_a_field_of_http_is_found_on_a_port_of_tcp_that_the_rule_is_for(
    port_name: str, rule: Obj, found: str
) -> None:
    spec = {"selector": {"matchLabels": {"app": "web"}}, "action": "DENY", "rules": [rule]}
    policy = {"kind": "AuthorizationPolicy", "metadata": meta("no-post"), "spec": spec}
    pod = {"metadata": {**meta("web-1"), "labels": {"app": "web"}}, "spec": {"containers": []}}
    there = Objects([pod], [service("web", OLD, port_name)], authorization_policies=[policy])
    told = [(one.about, one.causes) for one in http_field_on_tcp.RULE.found(there)]
    cause = f"AuthorizationPolicy shop/no-post, spec.rules[0].{found}"
    assert told == ([("web.shop:80", (cause,))] if found else [])


def web_pod(*containers: str) -> Obj:
    metadata = {**meta("web-1"), "labels": {"app": "web"}}
    return {"metadata": metadata, "spec": {"containers": [{"name": one} for one in containers]}}


def peers(name: str, created: str = OLD, namespace: str = "shop", **spec: Any) -> Obj:
    about = meta(name, created, namespace)
    return {"kind": "PeerAuthentication", "metadata": about, "spec": spec}


WEB, OTHER = ({"matchLabels": {"app": name}} for name in ("web", "other"))
OFF, ON = {"mode": "DISABLE"}, {"mode": "STRICT"}


@pytest.mark.parametrize(
    ("policy", "fields"),
    [
        (peers("off", mtls=OFF), ["spec.mtls.mode"]),
        (peers("off", namespace="istio-system", mtls=OFF), ["spec.mtls.mode"]),
        (peers("off", selector=WEB, mtls=OFF), ["spec.mtls.mode"]),
        (
            peers("off", selector=WEB, mtls=ON, portLevelMtls={8080: OFF, 8081: ON}),
            ["spec.portLevelMtls.8080.mode"],
        ),
        (
            peers("off", selector=WEB, mtls=OFF, portLevelMtls={"8080": OFF}),
            ["spec.mtls.mode", "spec.portLevelMtls.8080.mode"],
        ),
    ],
)
def test_a_policy_is_found_that_takes_mtls_away_with_its_fields(
    policy: Obj, fields: list[str]
) -> None:
    there = Objects([web_pod("web", "istio-proxy")], peer_authentications=[policy])
    (found,) = mtls_disabled.RULE.found(there)
    name = f"PeerAuthentication {policy['metadata']['namespace']}/off"
    assert found.about == name
    assert [*found.causes] == [f"{name}, {field}" for field in fields]


@pytest.mark.parametrize(
    ("policy", "containers"),
    [
        (peers("on", mtls=ON), ["web", "istio-proxy"]),
        (peers("on", mtls={"mode": "PERMISSIVE"}), ["web", "istio-proxy"]),
        (peers("on", selector=WEB, mtls=None, portLevelMtls={8080: None}), ["web", "istio-proxy"]),
        (peers("on"), ["web", "istio-proxy"]),
        (peers("no-selector", portLevelMtls={8080: OFF}), ["web", "istio-proxy"]),
        (peers("elsewhere", namespace="other", mtls=OFF), ["web", "istio-proxy"]),
        (peers("of-none", selector=OTHER, mtls=OFF), ["web", "istio-proxy"]),
        (peers("younger", NEW, mtls=OFF), ["web", "istio-proxy"]),
        (peers("no-sidecar", selector=WEB, mtls=OFF), ["web"]),
    ],
)
def test_a_policy_that_takes_no_servers_mtls_away_is_not_found(
    policy: Obj, containers: list[str]
) -> None:
    older = peers("z-older", mtls=ON)
    there = Objects([web_pod(*containers)], peer_authentications=[policy, older])
    assert [*mtls_disabled.RULE.found(there)] == []
