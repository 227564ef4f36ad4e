"""Which istiod is reproduced, by a cluster's objects; and which is not, by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.audit.changed import control_plane
from lab.audit.changed.control_plane import NotReproduced
from lab.common.errors import BadArguments, BadEvidence


def mesh(name: str = "istio", **settings: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "istio-system", "name": name},
        "data": {"mesh": json.dumps(settings)},
    }


def istiod(tag: str, revision: str = "default", **env: str) -> dict[str, Any]:
    container = {
        "name": "discovery",
        "image": f"registry.example:5000/istio/pilot:{tag}",
        "env": [{"name": name, "value": value} for name, value in env.items()],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "namespace": "istio-system",
            "name": f"istiod-{revision}",
            "labels": {"app": "istiod", "istio.io/rev": revision},
        },
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def test_its_settings_revision_and_version_are_those_of_its_deployment() -> None:
    made = istiod("1.31.4-distroless", "canary", PILOT_ENABLE_ALPN_FILTER="false")
    plane = control_plane.find([mesh("istio-canary"), made], [])
    assert (plane.revision, plane.stack) == ("canary", "1.31")
    assert plane.environment["PILOT_ENABLE_ALPN_FILTER"] == "false"
    assert plane.environment["REVISION"] == "canary"


def test_what_is_about_its_own_pod_and_what_leads_outside_is_not_taken_over() -> None:
    made = istiod("1.31", LD_PRELOAD="/x", HTTPS_PROXY="http://h", PILOT_CERT_PROVIDER="custom")
    environment = control_plane.find([mesh(), made], []).environment
    assert "LD_PRELOAD" not in environment
    assert environment["HTTPS_PROXY"] == "http://127.0.0.1:9"
    assert environment["PILOT_CERT_PROVIDER"] == "none"


def test_without_its_deployment_the_proxies_tell_the_version_and_it_says_what_it_assumes() -> None:
    pod = {"spec": {"containers": [{"name": "istio-proxy", "image": "istio/proxyv2:1.31.2"}]}}
    plane = control_plane.find([mesh()], [pod])
    assert plane.stack == "1.31"
    assert "by default" in plane.assumed


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([mesh(), istiod("1.29.0")], "it is Istio 1.29"),
        ([mesh(), istiod("latest")], "no image"),
        ([mesh(), istiod("1.31"), istiod("1.31", "canary")], "several control planes"),
        ([mesh(configSources=[{"address": "xds://x"}]), istiod("1.31")], "configSources"),
        ([mesh(rootNamespace="root"), istiod("1.31")], "root namespace"),
    ],
)
def test_what_is_not_reproduced_is_named_and_ends_with_3(objects: Any, why: str) -> None:
    with pytest.raises(NotReproduced, match=why) as refused:
        control_plane.find(objects, [])
    assert refused.value.exit_code == 3


def test_without_the_meshs_configuration_nothing_is_generated() -> None:
    with pytest.raises(BadArguments, match="ConfigMap istio-system/istio"):
        control_plane.find([istiod("1.31")], [])


@pytest.mark.parametrize("text", ["[", "{a: " * 2000])
def test_a_meshs_configuration_that_is_no_yaml_is_a_sentence(text: str) -> None:
    with pytest.raises(BadEvidence, match="is no YAML"):
        control_plane.find([{**mesh(), "data": {"mesh": text}}, istiod("1.31")], [])


@pytest.mark.parametrize("text", ["- 1", ""])
def test_a_meshs_configuration_without_settings_has_those_by_default(text: str) -> None:
    made = {**mesh(), "data": {"mesh": text}}
    assert control_plane.find([made, istiod("1.31")], []).stack == "1.31"
