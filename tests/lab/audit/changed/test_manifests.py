"""What manifests make of a cluster's objects."""

from __future__ import annotations

from typing import Any

import pytest

from lab.audit.changed import manifests
from lab.common.errors import BadArguments

NOW, THEN = "2026-01-02T00:00:00Z", "2020-01-01T00:00:00Z"


def obj(kind: str, name: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    own = {"uid": f"uid-{name}", "creationTimestamp": THEN}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"namespace": "shop", "name": name, **own},
        **more,
    }


def policy(mode: str, version: str = "security.istio.io/v1beta1") -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": "PeerAuthentication",
        "metadata": {"namespace": "shop", "name": "default"},
        "spec": {"mtls": {"mode": mode}},
    }


WEB = obj(
    "Service",
    "web",
    spec={
        "clusterIP": "10.96.0.7",
        "selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
    },
)
ENDS = obj("EndpointSlice", "web-x", "discovery.k8s.io/v1")
ENDS["metadata"]["labels"] = {"kubernetes.io/service-name": "web"}


def only(applied: manifests.Applied, kind: str) -> dict[str, Any]:
    (found,) = [one for one in applied.objects if one["kind"] == kind]
    return found


def test_an_object_is_replaced_whatever_version_it_is_written_in_and_keeps_its_age() -> None:
    before = {**policy("PERMISSIVE"), "status": {"validation": "kept"}}
    before["metadata"] |= {"uid": "1", "creationTimestamp": THEN}
    applied = manifests.apply([before], [policy("STRICT", "security.istio.io/v1")], NOW)
    found = only(applied, "PeerAuthentication")
    assert found["spec"] == {"mtls": {"mode": "STRICT"}}
    assert (found["metadata"]["uid"], found["metadata"]["creationTimestamp"]) == ("1", THEN)
    assert found["status"] == {"validation": "kept"}
    assert applied.changed == ["PeerAuthentication shop/default replaced"]


def test_what_is_new_is_younger_than_all_that_is_there() -> None:
    applied = manifests.apply([WEB], [policy("STRICT")], NOW)
    assert only(applied, "PeerAuthentication")["metadata"]["creationTimestamp"] == NOW
    assert applied.changed == ["PeerAuthentication shop/default created"]


def test_a_deleted_service_takes_its_endpoints_with_it() -> None:
    gone = {"apiVersion": "v1", "kind": "Service", "metadata": WEB["metadata"], "$patch": "delete"}
    assert manifests.apply([WEB, ENDS], [gone], NOW).objects == []
    with pytest.raises(BadArguments, match="is not there"):
        manifests.apply([ENDS], [gone], NOW)


def test_a_service_keeps_its_address_and_follows_its_pods_anew_only_where_it_must() -> None:
    ports = [{"name": "tcp-web", "port": 80, "targetPort": 8080}]
    renamed = {**WEB, "spec": {"selector": {"app": "web"}, "ports": ports}}
    applied = manifests.apply([WEB], [renamed], NOW)
    assert only(applied, "Service")["spec"]["clusterIP"] == "10.96.0.7"
    assert applied.services == ["shop/web"]
    assert manifests.apply([WEB], [WEB], NOW).services == []


def test_a_new_service_needs_an_address() -> None:
    new = {**WEB, "metadata": {"name": "other"}, "spec": {"ports": [{"port": 80}]}}
    with pytest.raises(BadArguments, match="Service default/other is new and has no clusterIP"):
        manifests.apply([WEB], [new], NOW)


def test_what_starts_pods_is_not_applied_and_named() -> None:
    applied = manifests.apply([WEB], [obj("Deployment", "web", "apps/v1")], NOW)
    assert applied.objects == [WEB]
    assert [*applied.left_out] == ["Deployment shop/web"]
    assert applied.changed == []


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "Service"}, {"kind": "Service", "metadata": {"name": "web"}}, {"metadata": 1}],
)
def test_a_manifest_that_names_no_object_is_a_sentence(wrong: Any) -> None:
    with pytest.raises(BadArguments, match="names no object"):
        manifests.apply([], [wrong], NOW)


def test_of_manifests_alone_the_changed_one_takes_the_others_place() -> None:
    web, strict = obj("Deployment", "web", "apps/v1"), policy("STRICT")
    made = manifests.merge([web, policy("PERMISSIVE")], [strict, {**web, "$patch": "delete"}])
    assert made.objects == [strict]
    assert made.changed == [
        "PeerAuthentication shop/default replaced",
        "Deployment shop/web deleted",
    ]


@pytest.mark.parametrize("change", [manifests.merge, lambda a, b: manifests.apply(a, b, NOW)])
def test_what_is_not_there_cannot_be_deleted(change: Any) -> None:
    with pytest.raises(BadArguments, match="shop/default is to be deleted, and is not there"):
        change([], [{**policy("STRICT"), "$patch": "delete"}])
