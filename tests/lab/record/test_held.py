"""What of a world's objects a proxy's configuration shows, on hand-made dumps."""

from __future__ import annotations

from typing import Any

import pytest

from lab.record import held

NAMESPACE = "shop"
CLIENT = {"app": "client"}


def dump(*names: str, draining: str = "", policies: str = "") -> dict[str, Any]:
    """Return a dump with clusters and listeners of these names."""
    listeners: list[dict[str, Any]] = [
        {"name": name, "active_state": {"listener": {"name": name}}} for name in names
    ]
    listeners += [{"name": draining, "draining_state": {"listener": {"name": draining}}}]
    chain = {"filter_chain_match": {"destination_port": 8080}, "filters": [policies]}
    inbound = {"listener": {"filter_chains": [chain]}}
    listeners += [{"name": "virtualInbound", "active_state": inbound}]
    clusters = [{"cluster": {"name": name}} for name in names]
    return {"configs": [{"dynamic_listeners": listeners}, {"dynamic_active_clusters": clusters}]}


def obj(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name}, "spec": spec}


ENTRY = obj("ServiceEntry", "db", hosts=["db.example"], ports=[{"number": 9101}])
DENY = obj("AuthorizationPolicy", "deny", selector={"matchLabels": {"app": "server"}})
LIMITED = obj(
    "Sidecar",
    "client",
    workloadSelector={"labels": CLIENT},
    egress=[{"hosts": ["istio-system/*", "./web.*"]}],
)


@pytest.mark.parametrize(
    ("objects", "labels", "there", "wanted"),
    [
        ([ENTRY], CLIENT, dump("outbound|9101||db.example"), ""),
        ([ENTRY], CLIENT, dump("outbound|9102||db.example"), "ServiceEntry db"),
        ([ENTRY], CLIENT, dump(draining="outbound|9101||db.example"), "ServiceEntry db"),
        # Its listener is there, and the cluster that this names is not yet.
        ([ENTRY], CLIENT, dump(policies="outbound|9101||db.example"), "ServiceEntry db"),
        ([ENTRY, LIMITED], CLIENT, dump(), ""),  # it need not be told of it
        ([DENY], {"app": "server"}, dump(policies="ns[shop]-policy[deny]-rule[0]"), ""),
        ([DENY], {"app": "server"}, dump(), "AuthorizationPolicy deny"),
        ([DENY], CLIENT, dump(), ""),
        ([obj("VirtualService", "web", http=[{}])], CLIENT, dump(), "VirtualService web"),
        ([obj("VirtualService", "db", tcp=[{}])], CLIENT, dump(), ""),  # no route names it
    ],
)
def test_the_first_object_that_a_proxy_does_not_show_is_named(
    objects: list[dict[str, Any]], labels: dict[str, str], there: dict[str, Any], wanted: str
) -> None:
    assert held.missing(objects, there, labels, NAMESPACE) == wanted


def test_a_sidecar_limits_what_a_workload_is_told_of() -> None:
    limits = held.scope([LIMITED], CLIENT)
    assert held.in_scope(limits, "web", NAMESPACE)
    assert not held.in_scope(limits, "db", NAMESPACE)
    assert held.in_scope(held.scope([LIMITED], {"app": "other"}), "db", NAMESPACE)


def test_a_listener_that_is_bound_to_another_address_is_shown() -> None:
    everywhere, one = dump("0.0.0.0_9101"), dump("10.0.0.9_9101")
    shown = [held.shown([ENTRY], there, NAMESPACE, 9101) for there in (everywhere, one)]
    assert shown[0] != shown[1]


@pytest.mark.parametrize(
    ("port", "labels", "wanted"),
    [
        (8080, {"app": "web"}, "DISABLE"),
        (8081, {"app": "web"}, "STRICT"),
        (8080, {"app": "other"}, "PERMISSIVE"),
    ],
)
def test_the_mode_of_a_port_is_that_of_the_policy_that_selects_its_workload(
    port: int, labels: dict[str, str], wanted: str
) -> None:
    policy = obj(
        "PeerAuthentication",
        "web",
        selector={"matchLabels": {"app": "web"}},
        mtls={"mode": "STRICT"},
        portLevelMtls={8080: {"mode": "DISABLE"}},
    )
    assert held.mode([policy], labels, port, "PERMISSIVE") == wanted
