"""One pod for each workload among manifests, and which of them are injected."""

from __future__ import annotations

from typing import Any

import pytest

from lab.audit.rendered import pods

NOW = "2026-01-01T00:00:00Z"


def workload(kind: str, name: str = "web", **template: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"metadata": {"labels": {"app": name}}, "spec": {"containers": []}}
    made |= template
    spec: dict[str, Any] = {"template": made}
    if kind == "CronJob":
        spec = {"jobTemplate": {"spec": spec}}
    own = {"kind": kind, "metadata": {"name": name, "namespace": "shop"}}
    return {**own, **(made if kind == "Pod" else {"spec": spec}), "metadata": own["metadata"]}


@pytest.mark.parametrize(
    "kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"]
)
def test_each_kind_of_workload_has_one_pod_that_is_ready(kind: str) -> None:
    (pod,) = pods.of([workload(kind)], NOW)
    assert (pod["metadata"]["namespace"], pod["metadata"]["name"]) == ("shop", "web-0")
    assert pod["spec"]["serviceAccountName"] == "default"
    assert {"type": "Ready", "status": "True"} in pod["status"]["conditions"]


@pytest.mark.parametrize("account", [None, ""])
def test_a_pod_without_an_account_has_the_default_one(account: str | None) -> None:
    spec = {"containers": [], "serviceAccountName": account}
    (pod,) = pods.of([workload("Deployment", spec=spec)], NOW)
    assert pod["spec"]["serviceAccountName"] == "default"


def test_no_two_pods_share_an_address() -> None:
    made = pods.of([workload("Deployment", f"w{n}") for n in range(600)], NOW)
    assert len({one["status"]["podIP"] for one in made}) == 600


def test_what_runs_no_pods_has_none() -> None:
    assert (
        pods.of([{"kind": "Service", "metadata": {"name": "web", "namespace": "shop"}}], NOW) == []
    )


@pytest.mark.parametrize(
    ("space", "labels", "injected"),
    [
        (None, {}, True),  # a namespace that is not among the manifests
        (None, {"sidecar.istio.io/inject": "false"}, False),
        ({"istio-injection": "enabled"}, {}, True),
        ({"istio-injection": "enabled"}, {"sidecar.istio.io/inject": "false"}, False),
        ({"istio-injection": "disabled"}, {"sidecar.istio.io/inject": "true"}, False),
        ({"istio.io/rev": "canary"}, {}, True),
        ({}, {}, False),
        ({}, {"sidecar.istio.io/inject": "true"}, True),
        ({}, {"istio.io/rev": "canary"}, True),
        ({}, {"istio.io/rev": "canary", "sidecar.istio.io/inject": "false"}, False),
    ],
)
def test_a_pod_is_injected_as_the_webhooks_selectors_say(
    space: dict[str, str] | None, labels: dict[str, str], injected: bool
) -> None:
    pod = {"metadata": {"name": "web-0", "namespace": "shop", "labels": labels}}
    assert pods.is_injected(pod, {} if space is None else {"shop": space}) is injected
